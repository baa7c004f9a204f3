//! Which Ingresses are ours (Ingress v1, "Ingress class"; the annotation is its predecessor).

use crate::{Key, Objects, Options};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};

/// `spec.controller` of the IngressClasses that are serin's.
pub const CONTROLLER: &str = "serin.dev/ingress-controller";

pub(crate) const DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";
pub(crate) const ANNOTATION: &str = "kubernetes.io/ingress.class";

/// Whose an Ingress is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Class {
    /// Ours.
    Ours,
    /// Of a class of another controller.
    Other(String),
    /// Of a class that does not exist.
    Missing(String),
    /// Of none, and ours is not the default.
    None,
}

/// Whose `ingress` is. In standalone without any IngressClass every one is ours.
pub(crate) fn class(objects: &Objects, options: &Options, ingress: &Ingress) -> Class {
    if options.standalone && objects.classes.is_empty() {
        return Class::Ours;
    }
    let named = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_ref());
    let annotated = || ingress.metadata.annotations.as_ref()?.get(ANNOTATION);
    let Some(name) = named.or_else(annotated) else {
        let default = objects.classes.values().any(|class| is_ours(class) && is_default(class));
        return if default { Class::Ours } else { Class::None };
    };
    match objects.classes.get(&Key::new("", name)) {
        Some(class) if is_ours(class) => Class::Ours,
        Some(_) => Class::Other(name.clone()),
        None => Class::Missing(name.clone()),
    }
}

impl Class {
    /// Why an Ingress is not ours, as the end of a sentence; `None` when it is.
    pub(crate) fn why_not_ours(&self) -> Option<String> {
        match self {
            Self::Ours => None,
            Self::Other(name) => Some(format!("its class is {name}")),
            Self::Missing(name) => Some(format!("its class {name} does not exist")),
            Self::None => Some("it has no class, and no IngressClass of serin is the default".into()),
        }
    }
}

fn is_ours(class: &IngressClass) -> bool {
    class.spec.as_ref().and_then(|spec| spec.controller.as_deref()) == Some(CONTROLLER)
}

fn is_default(class: &IngressClass) -> bool {
    class.metadata.annotations.as_ref().and_then(|annotations| annotations.get(DEFAULT)).is_some_and(|value| value == "true")
}
