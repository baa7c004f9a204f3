//! The built binary, several replicas of it, on a real API server: what they serve and who leads when processes, clocks and the API
//! server itself fail.
#![cfg(target_os = "linux")]

mod balancer;
mod clocks;
mod history;
mod leader;
mod outage;
mod peers;
mod probe;
mod replica;
mod rollback;
mod schema;
mod served;
mod shutdown;
mod site;
mod trace;
mod turn;
