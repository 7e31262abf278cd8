//! How much a target takes: whether it holds a rate, the largest rate that it holds, where it bends, and what it does beyond.
//!
//! Nothing here sends an order. A trial is a list of batches, however they came about; searching calls whoever can make a trial.

mod degrade;
mod recovery;
mod search;
mod sends;
mod trial;
mod usl;

pub use degrade::{Grade, Step, grade};
pub use recovery::{Second, itself_before, recovered};
pub use search::{Found, Search, Tried};
pub use sends::{Lags, Sends, bottleneck};
pub use trial::{Batch, Decision, Objective, Trial};
pub use usl::{Interval, Usl, fit};
