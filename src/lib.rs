//! orderstorm puts an order orchestrator through a storm before its customers do: it plays the whole world around it, injects
//! faults on every link, writes down what was sent, heard and really done, and judges that record.
//!
//! ```text
//! scenario -> matrix of cases -> workload -> engine <-> world, faults, target -> history -> check, measure -> report
//! ```
//!
//! **The history is the only witness.** A run only writes down; judging, measuring and drawing are folds over its entries.
//!
//! Read in this order: [`model`] (the words), [`history`] (what is written), [`engine`] (the loop), [`world`] and [`fault`]
//! (what surrounds the target), [`target`] and [`reference`] (what is tested), [`check`] (the judge), [`scenario`] (the files),
//! [`report`] (the pictures), [`run`] (the verbs). ARCHITECTURE.md says who may import whom, and why.

pub mod capacity;
pub mod check;
pub mod cli;
pub mod engine;
pub mod fault;
pub mod fit;
pub mod history;
pub mod mapping;
pub mod measure;
pub mod model;
pub mod net;
pub mod reference;
pub mod report;
pub mod run;
pub mod scenario;
pub mod service;
pub mod shrink;
pub mod sim;
pub mod target;
pub mod wire;
pub mod workload;
pub mod world;
