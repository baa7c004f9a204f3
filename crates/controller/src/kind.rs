//! The kinds that serin owns, and those whose status it writes.

use kube::api::ApiResource;
use kube::core::GroupVersionKind;

/// A kind of `serin.dev/v1alpha1`, or Ingress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// How it is learned who asks.
    AuthPolicy,
    /// How a Service is spoken to.
    BackendPolicy,
    /// A release.
    CanaryRelease,
    /// Who may ask.
    Consumer,
    /// A route of Kubernetes' own: of its status serin writes the addresses.
    Ingress,
}

impl Kind {
    /// All of serin's own.
    pub const ALL: [Self; 4] = [Self::AuthPolicy, Self::BackendPolicy, Self::CanaryRelease, Self::Consumer];

    /// As objects name it.
    pub fn name(self) -> &'static str {
        self.names().0
    }

    /// The kind of serin's that objects name so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// As the API server's paths name it.
    pub(crate) fn resource(self) -> ApiResource {
        let (kind, plural) = self.names();
        let (group, version) = if self == Self::Ingress { ("networking.k8s.io", "v1") } else { ("serin.dev", "v1alpha1") };
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
    }

    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::AuthPolicy => ("AuthPolicy", "authpolicies"),
            Self::BackendPolicy => ("BackendPolicy", "backendpolicies"),
            Self::CanaryRelease => ("CanaryRelease", "canaryreleases"),
            Self::Consumer => ("Consumer", "consumers"),
            Self::Ingress => ("Ingress", "ingresses"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_crd_of_these_names() {
        let crds = serin_api::crds();
        let of_crds: Vec<_> = crds.iter().map(|crd| (crd.spec.names.kind.as_str(), crd.spec.names.plural.as_str())).collect();
        assert_eq!(Kind::ALL.map(Kind::names).to_vec(), of_crds);
        assert_eq!((Kind::named("CanaryRelease"), Kind::named("Service")), (Some(Kind::CanaryRelease), None));
    }
}
