//! orderstorm: the world around an order orchestrator, with faults, and a judge of the record.

pub mod check;
pub mod cli;
pub mod engine;
pub mod fault;
pub mod history;
pub mod measure;
pub mod model;
pub mod reference;
pub mod report;
pub mod run;
pub mod scenario;
pub mod sim;
pub mod target;
pub mod workload;
pub mod world;
