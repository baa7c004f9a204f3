//! The endpoints of a Service, and which of them are a side's.

use crate::Key;
use crate::app_protocol::{Spoken, spoken};
use crate::backends::{Backends, Part, Target, is_tcp, number, ports};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use serin_routing::config::{Backend, Tls};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// One endpoint of a target.
struct Member<'o> {
    address: SocketAddr,
    state: Readiness,
    /// It is on its way out, whatever it still serves.
    terminating: bool,
    endpoint: Option<&'o Endpoint>,
}

/// What may be sent to an endpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readiness {
    Ready,
    Draining,
    Neither,
}

impl<'o> Backends<'o> {
    /// The endpoints of a target.
    ///
    /// An absent `ready` is true, an absent `serving` is `ready` (EndpointConditions); serving and terminating ones are kept apart
    /// (KEP-1669). A slice's port goes by the name of the Service's port, whatever `targetPort` says: the two may be absent on both sides.
    pub(crate) fn backend(&self, target: &Target) -> Arc<Backend> {
        if let Some(built) = self.built.borrow().get(target) {
            return Arc::clone(built);
        }
        let built = Arc::new(self.build(target));
        self.built.borrow_mut().insert(target.clone(), Arc::clone(&built));
        built
    }

    /// How many endpoints of a target are ready.
    pub(crate) fn ready(&self, target: &Target) -> usize {
        self.backend(target).ready.len()
    }

    /// Whether `stable` reaches the canary's pods and no others, on the same port: then routes need no release to send there (S10).
    ///
    /// A pod that is only not ready for a moment is still one of stable's, so an outage of the old version completes nothing.
    pub(crate) fn reaches_only(&self, stable: &Target, canary: &Target) -> bool {
        let key = |member: &Member<'o>| Some((self.pod_id(member.endpoint?)?, member.address.port()));
        let of_canary: BTreeSet<_> = self.members(canary).iter().filter_map(key).collect();
        let stays: Vec<_> = self.members(stable).into_iter().filter(|member| !member.terminating).collect();
        let is_of_canary = |member: &Member<'o>| key(member).is_some_and(|key| of_canary.contains(&key));
        stays.iter().any(|member| member.state == Readiness::Ready) && stays.iter().all(is_of_canary)
    }

    /// Whether the Service has ready endpoints, and the pod of none is known: then neither part of it has an endpoint.
    pub(crate) fn lacks_pods(&self, whole: &Target) -> bool {
        let ready: Vec<_> = self.members(whole).into_iter().filter(|member| member.state == Readiness::Ready).collect();
        let is_known = |member: &Member<'o>| member.endpoint.is_some_and(|e| self.pod_labels(&whole.service.namespace, e).is_some());
        !ready.is_empty() && !ready.iter().any(is_known)
    }

    fn build(&self, target: &Target) -> Backend {
        if let Some(outside) = self.outside(target) {
            return self.backend_outside(target, &outside);
        }
        let (mut ready, mut draining) = (BTreeSet::new(), BTreeSet::new());
        for member in self.members(target) {
            match member.state {
                Readiness::Ready => drop(ready.insert(member.address)),
                Readiness::Draining => drop(draining.insert(member.address)),
                Readiness::Neither => {}
            }
        }
        draining.retain(|address| !ready.contains(address));
        let Spoken { protocol, tls } = self.spoken(target).unwrap_or_default();
        let by_policy = self.tls_by_policy(&target.service);
        let unresolved = matches!(by_policy, Some(Err(_)));
        if unresolved {
            ready.clear();
            draining.clear();
        }
        let (ready, draining) = (ready.into_iter().collect(), draining.into_iter().collect());
        let Key { namespace, name } = &target.service;
        Backend {
            name: target.to_string(),
            ready,
            draining,
            path: self.path(&target.service),
            upstream: self.upstream(&target.service),
            protocol,
            // The name by which other pods reach it.
            tls: by_policy.and_then(Result::ok).or_else(|| tls.then(|| Tls::of(format!("{name}.{namespace}.svc")))),
            unresolved,
            ..Backend::default()
        }
    }

    fn spoken(&self, target: &Target) -> Option<Spoken> {
        let service = self.objects.services.get(&target.service)?;
        ports(service).into_iter().find(|(number, _)| *number == target.port).and_then(|(_, port)| spoken(port))
    }

    fn members(&self, target: &Target) -> Vec<Member<'o>> {
        let mut members = Vec::new();
        let Some(service) = self.objects.services.get(&target.service) else { return members };
        if let Some(listed) = self.listed(service) {
            let member = |address| Member { address, state: Readiness::Ready, terminating: false, endpoint: None };
            members.extend(listed.unwrap_or_default().into_iter().map(member));
        } else if let Some((_, port)) = ports(service).into_iter().find(|(number, _)| *number == target.port) {
            let of_service = (target.service.namespace.as_str(), target.service.name.as_str());
            for slice in self.slices.get(&of_service).into_iter().flatten() {
                self.collect(slice, port.name.as_deref().unwrap_or_default(), &mut members);
            }
        }
        members.retain(|member| self.is_of(&target.part, &target.service.namespace, member.endpoint));
        members
    }

    fn collect(&self, slice: &'o EndpointSlice, port: &str, members: &mut Vec<Member<'o>>) {
        let ports = slice.ports.iter().flatten().filter(|p| is_tcp(p.protocol.as_deref()) && p.name.as_deref().unwrap_or_default() == port);
        for number in ports.filter_map(|p| number(p.port?)) {
            for endpoint in &slice.endpoints {
                let (state, terminating) = Readiness::of(endpoint);
                let addresses = endpoint.addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok());
                let addresses = addresses.filter(|ip| self.forbidden(*ip).is_none()).map(|ip| SocketAddr::new(ip, number));
                members.extend(addresses.map(|address| Member { address, state, terminating, endpoint: Some(endpoint) }));
            }
        }
    }

    fn is_of(&self, part: &Part, namespace: &str, endpoint: Option<&Endpoint>) -> bool {
        let selected = |pods: &serin_api::release::PodSelector| Some(pods.matches(self.pod_labels(namespace, endpoint?)?));
        match part {
            Part::Whole => true,
            Part::Outside(_) => false,
            Part::Selected(pods) => selected(pods) == Some(true),
            Part::Others(pods) => selected(pods) == Some(false),
        }
    }
}

impl Readiness {
    /// And whether the endpoint is on its way out.
    fn of(endpoint: &Endpoint) -> (Self, bool) {
        let conditions = endpoint.conditions.clone().unwrap_or_default();
        let ready = conditions.ready.unwrap_or(true);
        let serving = conditions.serving.unwrap_or(ready);
        let terminating = conditions.terminating.unwrap_or(false);
        let state = match (ready, serving && terminating) {
            (true, _) => Self::Ready,
            (false, true) => Self::Draining,
            (false, false) => Self::Neither,
        };
        (state, terminating)
    }
}
