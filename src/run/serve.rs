//! `serve`: the reference orchestrator as a service, until Ctrl-C.

use super::capacity::service_model;
use super::live::trusted;
use super::matrix::defect;
use super::{Ended, Stop, Trouble};
use crate::cli::ServeArgs;
use crate::service::{self, Config, Service};
use crate::sim::Span;
use std::time::Duration;

pub fn serve(args: &ServeArgs, stop: &Stop) -> Result<Ended, Trouble> {
    if !(args.scale.is_finite() && (0.001..=1e3).contains(&args.scale)) {
        return Err(Trouble::Usage(format!("error: --scale {}: expected a number from 0.001 to 1000", args.scale)));
    }
    let idle = Span::parse(&args.idle).map_err(|why| Trouble::Usage(format!("error: --idle: {why}")))?;
    let config = Config {
        listen: args.listen.clone(),
        defect: defect(args.defect.as_ref())?,
        scale: args.scale,
        data: args.data.clone(),
        service_model: args.service_model.as_deref().map(service_model).transpose()?,
        webhook_attempts: args.webhook_attempts,
        idle: (idle > Span::ZERO).then_some(Duration::from_nanos(idle.0)),
        trust: args.ca_file.as_deref().map(trusted).transpose().map_err(|why| Trouble::Usage(format!("error: --ca-file: {why}")))?,
    };
    if args.stdio {
        return service::speak(&config).map(|()| Ended::Good).map_err(|trouble| Trouble::Environment(trouble.to_string()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Trouble::Environment(format!("error: no threads for the service: {error}")))?;
    runtime.block_on(async {
        let service = Service::start(config).await.map_err(|trouble| Trouble::Environment(trouble.to_string()))?;
        eprintln!("orderstorm reference {} listens on http://{}", env!("CARGO_PKG_VERSION"), service.address());
        match &args.data {
            Some(dir) => {
                eprintln!("journal in {}: {} sandboxes taken up; kill -9 loses nothing that was acknowledged", dir.display(), service.restored())
            }
            None => eprintln!("in memory only: --data DIR keeps a durable journal"),
        }
        if let Some(defect) = &args.defect {
            eprintln!("with the bug `{defect}` switched on");
        }
        // where the profile looks for it unless it is told otherwise
        let elsewhere = service.address().to_string() != "127.0.0.1:7070";
        let drive = if elsewhere { format!("ORDERSTORM_TARGET_URL=http://{} ", service.address()) } else { String::new() };
        eprintln!("GET /health /metrics /v1; drive it with `{drive}orderstorm run S01 --target reference`. Ctrl-C ends it.");
        tokio::select! {
            () = service.run() => {}
            () = async { while !stop.is_set() { tokio::time::sleep(Duration::from_millis(50)).await } } => {}
        }
        Ok(Ended::Good)
    })
}
