//! What is answered to whom: reports are passed on, values are shown, the rest is refused.

use std::time::Instant;

use coap_link::{
    Code, ContentFormat, Engine, Link, Method, Observe, Peer, Request, RequestId, Response, link_format,
};
use gateway_core::{Throttle, Timestamp};
use read_model::{Device, ReadModel};
use tracing::warn;

use super::access::Access;
use super::adapter::Settings;
use super::figures::Counts;
use super::intake::{Intake, NoRoom, Report, Told};
use super::names::Known;
use super::observed::{Observed, resource};
use super::outcomes;
use super::resource::Resource;
use super::views::{FORMATS, View};

/// Longest list of links in bytes: some thousand devices. A query finds the others.
const LONGEST_LIST: usize = 256 << 10;

/// Someone asks.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: RequestId,
    pub(super) peer: Peer,
    pub(super) request: Request,
    pub(super) fingerprint: u64,
    pub(super) multicast: bool,
    pub(super) at: Timestamp,
}

/// A device as a path names it.
struct Named<'a> {
    said: &'a str,
    name: &'a str,
    known: Option<&'a Known>,
    metric: Option<&'a str>,
}

impl Named<'_> {
    /// What the metric is called in the gateway.
    fn metric_name(&self) -> Option<&str> {
        let renamed = |said| self.known.and_then(|known| known.rename.get(said)).map_or(said, String::as_str);
        self.metric.map(renamed)
    }
}

pub(super) struct Server<'a> {
    pub(super) settings: &'a Settings,
    pub(super) read_model: &'a ReadModel,
    pub(super) engine: Engine,
    pub(super) access: Access,
    pub(super) intake: Intake,
    pub(super) observed: Observed,
    pub(super) counts: Counts,
    /// Reports are no longer taken.
    pub(super) stopping: bool,
    /// Of lists that were too long.
    pub(super) cut_lists: Throttle,
}

impl Server<'_> {
    /// Answers, or passes a report on and answers later.
    pub(super) fn answer(&mut self, asked: &Asked, now: Instant) {
        let id = asked.id;
        if let Err(response) = self.serve(asked, now) {
            self.counts.error(response.code);
            self.engine.respond(id, response, now);
        }
    }

    /// Counts what the engine had no room for.
    pub(super) fn count_lost(&mut self) {
        self.intake.lost_in_engine(self.engine.counters().lost);
    }

    /// `Err` is an answer that tells what is wrong.
    fn serve(&mut self, asked: &Asked, now: Instant) -> Result<(), Response> {
        let Some(resource) = Resource::of(&asked.request.path) else {
            return Err(Response::error(
                Code::NOT_FOUND,
                "there are /sensors/{device}, /sensors/{device}/{metric} and /.well-known/core",
            ));
        };
        let (device, metric) = match resource {
            Resource::Core => return self.list(asked, now),
            Resource::Sensor { device, metric } => (device, metric),
        };
        let settings = self.settings;
        let (name, known) = settings.names.resolve(device);
        let named = Named { said: device, name: &name, known, metric };
        if !self.access.allows(&asked.peer, &[named.name, named.said]) {
            return Err(Response::error(Code::FORBIDDEN, "this identity is not allowed this device"));
        }
        match asked.request.method {
            Method::Get => self.show(asked, &named, now),
            Method::Post | Method::Put if !asked.multicast => self.take(asked, &named, now),
            _ => Err(Response::error(Code::METHOD_NOT_ALLOWED, "GET, POST and PUT are")),
        }
    }

    fn show(&mut self, asked: &Asked, named: &Named<'_>, now: Instant) -> Result<(), Response> {
        let unknown = || Response::error(Code::NOT_FOUND, "no value since the gateway started");
        let device = self.read_model.device(named.name).filter(|device| !device.series().is_empty());
        let device = device.ok_or_else(unknown)?;
        let Some(view) = View::new(named.metric_name(), asked.request.accept) else {
            let formats =
                if named.metric.is_some() { "0, 50, 60, 110 and 112" } else { "50, 60, 110 and 112" };
            return Err(Response::error(Code::NOT_ACCEPTABLE, format!("there are {formats}")));
        };
        let response = view.of(&device).ok_or_else(unknown)?;
        let name = resource(named.name, &view);
        self.engine.respond_observable(asked.id, &name, response, now);
        if asked.request.observe == Some(Observe::Register) {
            self.observed.enter(named.name, view, &self.engine);
        }
        Ok(())
    }

    fn take(&mut self, asked: &Asked, named: &Named<'_>, now: Instant) -> Result<(), Response> {
        let request = &asked.request;
        self.check_conditions(request, named)?;
        let codec = self.settings.codecs.choose(
            request.content_format,
            &request.payload,
            named.metric.is_some(),
            named.known.is_some_and(|known| known.has_codec),
        )?;
        let report = Report {
            id: asked.id,
            peer: &asked.peer,
            fingerprint: asked.fingerprint,
            confirmable: request.confirmable,
            device: named.said,
            metric: named.metric,
            codec,
            payload: request.payload.clone(),
        };
        if self.stopping {
            return Err(outcomes::no_room());
        }
        self.intake.take(report, asked.at, now).map_err(|NoRoom| {
            self.counts.no_room = self.counts.no_room.saturating_add(1);
            outcomes::no_room()
        })?;
        self.counts.reports = self.counts.reports.saturating_add(1);
        Ok(())
    }

    /// If-Match and If-None-Match (RFC 7252, 5.10.8).
    fn check_conditions(&self, request: &Request, named: &Named<'_>) -> Result<(), Response> {
        if request.if_match.is_none() && !request.if_none_match {
            return Ok(());
        }
        let device = self.read_model.device(named.name);
        let states: Vec<Response> = device.iter().flat_map(|device| states(named, device)).collect();
        let failed = |why| Err(Response::error(Code::PRECONDITION_FAILED, why));
        if request.if_none_match && !states.is_empty() {
            return failed("there is a value already");
        }
        let Some(tags) = &request.if_match else { return Ok(()) };
        let matches = |state: &Response| state.etag.as_ref().is_some_and(|tag| tags.contains(tag));
        if states.is_empty() || !(tags.is_empty() || states.iter().any(matches)) {
            return failed("the value is not the one of If-Match");
        }
        Ok(())
    }

    /// The pipeline has told what became of a report.
    pub(super) fn told(&mut self, told: Told, now: Instant) {
        let response = outcomes::answer(told.outcome, told.why);
        if !response.code.is_success() {
            self.counts.error(response.code);
        }
        self.engine.respond(told.id, response, now);
    }

    /// What there is, as far as the peer may read it.
    fn list(&mut self, asked: &Asked, now: Instant) -> Result<(), Response> {
        if asked.request.method != Method::Get {
            return Err(Response::error(Code::METHOD_NOT_ALLOWED, "GET is"));
        }
        let mut text = String::new();
        let mut is_cut = false;
        let mut devices = self.read_model.devices();
        devices.retain(|device| !device.series().is_empty());
        devices.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for device in devices {
            if !self.access.allows(&asked.peer, &[&device.name]) {
                continue;
            }
            let more = link_format(&links(&device), &asked.request.query);
            if text.len() + more.len() > LONGEST_LIST {
                is_cut = true;
                break;
            }
            if !text.is_empty() && !more.is_empty() {
                text.push(',');
            }
            text.push_str(&more);
        }
        if is_cut {
            self.tell_cut(&asked.peer, now);
        }
        if asked.multicast && text.is_empty() {
            // Nothing useful to say is said to nobody (RFC 6690, 4.1): the engine keeps errors to a group silent.
            return Err(Response::new(Code::NOT_FOUND));
        }
        let response = Response::content(ContentFormat::LINK_FORMAT, text);
        self.engine.respond(asked.id, response, now);
        Ok(())
    }

    /// The list has no way to say that it goes on.
    fn tell_cut(&mut self, peer: &Peer, now: Instant) {
        self.counts.cut_lists = self.counts.cut_lists.saturating_add(1);
        if let Some(passed_over) = self.cut_lists.allow(now) {
            warn!(
                passed_over,
                "coap: /.well-known/core for {peer} ends after {} KiB, and there are more devices: a query such as \
                 ?rt=temperature or ?href=/sensors/hall* finds the others",
                LONGEST_LIST >> 10
            );
        }
    }
}

/// What a resource is in each of its formats.
fn states(named: &Named<'_>, device: &Device) -> Vec<Response> {
    let view = |format| View::new(named.metric_name(), Some(format))?.of(device);
    FORMATS.into_iter().filter_map(view).collect()
}

/// A device and its metrics.
fn links(device: &Device) -> Vec<Link> {
    let metrics: Vec<&str> = device.series().iter().map(|series| &*series.name).collect();
    let whole = Link::new(["sensors", &*device.name])
        .with("rt", metrics.join(" "))
        .with("if", "core.b")
        .with("ct", "50 60 110 112")
        .observable();
    let one = |metric: &str| {
        Link::new(["sensors", &*device.name, metric])
            .with("rt", metric)
            .with("if", "core.s")
            .with("ct", "0 50 60 110 112")
            .observable()
    };
    std::iter::once(whole).chain(metrics.into_iter().map(one)).collect()
}
