//! The orchestrator of one sandbox, with its log where one is kept: the same over HTTP and behind a pipe.

use super::Config;
use super::journal::{JournalError, Journals, OnDisk, Opened};
use crate::reference::Settings;
use crate::sim::{Seed, Span};
use crate::target::{Embedded, ServiceModel};
use crate::wire::Sandbox;
use std::sync::Arc;

/// `restored`: its log stands in the journal and is gone on with; else it begins anew.
pub fn build(
    config: &Config,
    journals: Option<&Journals>,
    name: &str,
    sandbox: &Sandbox,
    restored: bool,
) -> Result<(Embedded, Option<OnDisk>), JournalError> {
    let settings = Settings { remorse_hold: sandbox.remorse_hold_ns.map(Span), ..Settings::default() }.at_scale(config.scale);
    let model = config.service_model.clone().unwrap_or_else(ServiceModel::none);
    let target = Embedded::new(Arc::new(sandbox.estate.clone()), settings, model, config.defect, Seed(sandbox.seed));
    let Some(journals) = journals else { return Ok((target, None)) };
    if !restored {
        journals.begin(name, &Opened { sandbox: sandbox.clone() })?;
    }
    let log = journals.of(name)?;
    Ok((target.keeping(Box::new(log.clone())), Some(log)))
}
