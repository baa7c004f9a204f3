//! The paths of one host: a tree of path elements, so that a lookup costs one walk along the path, however long it is and however many
//! routes there are.

use crate::config::PathMatch;

/// The routes of one host, by path. Nodes are in one list, the root first.
#[derive(Debug)]
pub(crate) struct Paths(Vec<Node>);

#[derive(Debug, Default)]
struct Node {
    /// Sorted by element.
    children: Vec<(Box<str>, usize)>,
    /// The route of exactly this path.
    exact: Option<usize>,
    /// The route of this path and all below.
    prefix: Option<usize>,
}

impl Default for Paths {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl Paths {
    /// None yet; there is room for so many of one element.
    pub(crate) fn with_capacity(count: usize) -> Self {
        let mut nodes = Vec::with_capacity(1 + count);
        nodes.push(Node::default());
        Self(nodes)
    }

    /// Adds a route; of several for one path the first holds.
    pub(crate) fn insert(&mut self, path: &PathMatch, route: usize) {
        match path {
            PathMatch::Exact(path) => {
                let node = self.node(elements(path));
                self.0[node].exact.get_or_insert(route);
            }
            PathMatch::Prefix(path) => {
                let node = match path.trim_end_matches('/') {
                    "" => 0,
                    path => self.node(elements(path)),
                };
                self.0[node].prefix.get_or_insert(route);
            }
        }
    }

    /// The exact route of this path, else the one with the longest prefix.
    pub(crate) fn lookup(&self, path: &str) -> Option<usize> {
        let (mut node, mut longest) = (&self.0[0], self.0[0].prefix);
        for element in elements(path) {
            let Some(child) = node.child(element) else { return longest };
            node = &self.0[child];
            longest = node.prefix.or(longest);
        }
        node.exact.or(longest)
    }

    /// The node at the end of these elements, made where it is missing.
    fn node<'p>(&mut self, elements: impl Iterator<Item = &'p str>) -> usize {
        let mut at = 0;
        for element in elements {
            at = match self.0[at].find(element) {
                Ok(place) => self.0[at].children[place].1,
                Err(place) => {
                    let made = self.0.len();
                    self.0.push(Node::default());
                    self.0[at].children.insert(place, (element.into(), made));
                    made
                }
            };
        }
        at
    }
}

impl Node {
    fn find(&self, element: &str) -> Result<usize, usize> {
        self.children.binary_search_by(|(name, _)| name.as_ref().cmp(element))
    }

    fn child(&self, element: &str) -> Option<usize> {
        self.find(element).ok().map(|place| self.children[place].1)
    }
}

/// What stands between the slashes. A path that ends in a slash ends in an empty element, which only an exact route of it has.
fn elements(path: &str) -> std::str::Split<'_, char> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}
