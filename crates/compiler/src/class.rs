//! Which Ingresses are ours (Ingress v1, "Ingress class"; the annotation is its predecessor).

use crate::backends::Backends;
use crate::{Key, Objects, Options};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serin_api::{Condition, Finding};

/// `spec.controller` of the IngressClasses that are serin's.
pub const CONTROLLER: &str = "serin.dev/ingress-controller";

pub(crate) const DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";
pub(crate) const ANNOTATION: &str = "kubernetes.io/ingress.class";

// No condition of serin's kinds shows it.
const CLASS_NOT_FOUND: &str = "ClassNotFound";

/// Whose an Ingress is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Class {
    /// Ours.
    Ours,
    /// Of a class of another controller.
    Other(String),
    /// Of a class that does not exist.
    Missing(String),
    /// Of a class of serin's that this installation does not serve.
    NotServed(String),
    /// Of none, and ours is not the default.
    None,
}

/// Whose `ingress` is. In standalone without any IngressClass every one is ours. Where an operator names classes, those alone are: also
/// when their IngressClass is not there or may not be read, since the operator's word is enough.
pub(crate) fn class(objects: &Objects, options: &Options, ingress: &Ingress) -> Class {
    if options.standalone && objects.classes.is_empty() {
        return Class::Ours;
    }
    let named = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_ref());
    let annotated = || ingress.metadata.annotations.as_ref()?.get(ANNOTATION);
    let Some(name) = named.or_else(annotated) else {
        let serves = |class: &IngressClass| class.metadata.name.as_ref().is_some_and(|name| options.serves_class(name));
        let default = objects.classes.values().any(|class| is_ours(class) && is_default(class) && serves(class));
        return if default { Class::Ours } else { Class::None };
    };
    match objects.classes.get(&Key::new("", name)) {
        Some(class) if is_ours(class) && options.serves_class(name) => Class::Ours,
        Some(class) if is_ours(class) => Class::NotServed(name.clone()),
        Some(_) => Class::Other(name.clone()),
        None if options.classes.contains(name) => Class::Ours,
        None => Class::Missing(name.clone()),
    }
}

impl Class {
    /// Why an Ingress is not ours, as the end of a sentence; `None` when it is.
    pub(crate) fn why_not_ours(&self) -> Option<String> {
        match self {
            Self::Ours => None,
            Self::Other(name) => Some(format!("its class is {name}")),
            Self::NotServed(name) => Some(format!("its class {name} is not one that --ingress-class names")),
            Self::Missing(name) => Some(format!("its class {name} does not exist")),
            Self::None => Some("it has no class, and no IngressClass of serin is the default".into()),
        }
    }
}

/// What the author of an Ingress is told whose class does not exist: nobody else serves it either. One that is named by the annotation may be
/// another controller's that knows no IngressClass.
pub(crate) fn finding(ingress: &Ingress, class: &Class, objects: &Objects, backends: &Backends<'_>) -> Option<Finding> {
    let Class::Missing(name) = class else { return None };
    ingress.spec.as_ref()?.ingress_class_name.as_ref()?;
    let names = objects.classes.values().filter_map(|class| class.metadata.name.as_deref());
    let hint = match backends.closest(name, names) {
        Some(similar) => format!("Did you mean {similar}?"),
        None => "Create it, or name another.".to_owned(),
    };
    let message = format!("IngressClass {name} does not exist, so nobody serves this Ingress. {hint}");
    Some(Finding { condition: Condition::ResolvedRefs, reason: CLASS_NOT_FOUND, field: "spec.ingressClassName".into(), message })
}

fn is_ours(class: &IngressClass) -> bool {
    class.spec.as_ref().and_then(|spec| spec.controller.as_deref()) == Some(CONTROLLER)
}

fn is_default(class: &IngressClass) -> bool {
    class.metadata.annotations.as_ref().and_then(|annotations| annotations.get(DEFAULT)).is_some_and(|value| value == "true")
}
