//! What is kept from one table to the next: a namespace comes to the same as long as its objects are the same.
//!
//! That is asked of the objects themselves: each one that is in the cache is shared, and another one as soon as anything that is read of it
//! changes. So nothing has to be told here what changed, and what is kept cannot be out of date.

use crate::backends::{Backends, Target};
use crate::declared::Declared;
use crate::ingress::{Place, Read};
use crate::judge::Judged;
use crate::objects::{Shelf, of_namespace};
use crate::outside::Resolution;
use crate::{Need, Objects, Options};
use k8s_openapi::api::networking::v1::IngressClass;
use serin_routing::config::Backend;
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// What a [`crate::Compiler`] remembers.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    everywhere: Everywhere,
    pub(crate) namespaces: BTreeMap<String, Namespace>,
    pub(crate) backends: BTreeMap<Target, Arc<Backend>>,
    /// The releases that reach over all namespaces.
    pub(crate) reaching: Vec<Arc<Declared>>,
}

/// What every namespace depends on.
#[derive(Debug, Default, PartialEq)]
struct Everywhere {
    options: Options,
    classes: Shelf<IngressClass>,
    hosts: BTreeMap<String, Resolution>,
    known: BTreeSet<Need>,
    api_server: BTreeSet<IpAddr>,
}

/// What one namespace came to.
#[derive(Debug, Default)]
pub(crate) struct Namespace {
    objects: Vec<Shared>,
    /// Its Ingresses.
    pub(crate) read: Read,
    /// Which names outside the cluster those send to.
    pub(crate) names_of_ingresses: BTreeSet<String>,
    /// Its routes, when its releases were judged.
    pub(crate) held: Vec<Arc<Place>>,
    /// Its releases, in the order of their names.
    pub(crate) judged: Vec<Judged>,
    /// Which names outside the cluster they send to.
    pub(crate) names_of_releases: BTreeSet<String>,
}

/// An object of any kind. It is held, so that no other one can take its place in memory.
type Shared = Arc<dyn Any + Send + Sync>;

/// An object that may be held.
trait Object {
    fn is(&self, held: &Shared) -> bool;
    fn hold(&self) -> Shared;
}

impl<T: Any + Send + Sync> Object for Arc<T> {
    fn is(&self, held: &Shared) -> bool {
        std::ptr::addr_eq(Self::as_ptr(self), Arc::as_ptr(held))
    }

    fn hold(&self) -> Shared {
        Self::clone(self) as Shared
    }
}

/// All objects of a namespace that its routes, releases and backends are compiled from.
fn all<'o>(objects: &'o Objects, namespace: &'o str) -> impl Iterator<Item = &'o dyn Object> {
    fn of<'s, T: Any + Send + Sync>(shelf: &'s Shelf<T>, namespace: &'s str) -> impl Iterator<Item = &'s dyn Object> {
        of_namespace(shelf, namespace).map(|(_, object)| object as &dyn Object)
    }
    of(&objects.ingresses, namespace)
        .chain(of(&objects.services, namespace))
        .chain(of(&objects.slices, namespace))
        .chain(of(&objects.releases, namespace))
        .chain(of(&objects.policies, namespace))
        .chain(of(&objects.secrets, namespace))
        .chain(of(&objects.pods, namespace))
        .chain(of(&objects.deployments, namespace))
        .chain(of(&objects.stateful_sets, namespace))
}

impl Kept {
    /// Takes away what is not so any more, and says which of the namespaces are new or other ones.
    pub(crate) fn renew<'o>(&mut self, objects: &'o Objects, options: &Options, backends: &Backends<'o>) -> BTreeSet<&'o str> {
        let everywhere = Everywhere {
            options: options.clone(),
            classes: objects.classes.clone(),
            hosts: objects.hosts.clone(),
            known: objects.known.clone(),
            api_server: backends.api_server.clone(),
        };
        if everywhere != self.everywhere {
            *self = Self { everywhere, ..Self::default() };
        }
        let namespaces: BTreeSet<&str> =
            objects.ingresses.keys().chain(objects.releases.keys()).map(|key| key.namespace.as_str()).collect();
        self.namespaces.retain(|namespace, _| namespaces.contains(namespace.as_str()));
        let mut others = BTreeSet::new();
        for namespace in namespaces {
            let mut held = self.namespaces.get(namespace).into_iter().flat_map(|kept| &kept.objects);
            let are_same = all(objects, namespace).all(|object| held.next().is_some_and(|held| object.is(held))) && held.next().is_none();
            if !are_same || !self.namespaces.contains_key(namespace) {
                let objects = all(objects, namespace).map(Object::hold).collect();
                self.namespaces.insert(namespace.to_owned(), Namespace { objects, ..Namespace::default() });
                others.insert(namespace);
            }
        }
        let is_kept = |target: &Target| {
            let namespace = target.service.namespace.as_str();
            self.namespaces.contains_key(namespace) && !others.contains(namespace)
        };
        self.backends.retain(|target, _| is_kept(target));
        others
    }
}
