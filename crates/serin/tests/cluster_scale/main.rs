//! The built binary at the size of a platform: three replicas, 3,000 routes in 1,000 Ingresses and 100 running releases on a real API
//! server. The short form is a tenth of it, with deadlines that hold on a machine that does other things too.
#![cfg(target_os = "linux")]

mod apply;
mod figures;
mod objects;
mod replica;
mod scale;
mod site;
mod watch;
