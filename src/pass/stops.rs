//! Stops of UNKNOWN containers (S2.3): in slots of their own beside the stages of a pass, which wait for none of them. Those that ended
//! by the end of the pass are removed then.

use super::context::Context;
use super::defects::{object, stage};
use super::fate::{Fate, Planned};
use super::gate::Gate;
use super::pod_evidence::Evidence;
use crate::clock::BootInstant;
use crate::cri::CallError;
use crate::cri::client::Runtime;
use crate::node::{Container, Snapshot, Text};
use crate::plan::containers::{grace_period, stop_timeout};
use crate::plan::order::turns;
use crate::report::{Kind, Reason, visible};
use crate::stop::sleep_until;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{self, FuturesUnordered, StreamExt};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::rc::Rc;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How many at once.
const SLOTS: usize = 2;

/// How long a pass waits for them once all else is done, whatever the annotations say.
const WAIT: Duration = Duration::from_secs(10 * 60);

/// A stop that has not ended.
struct Open {
    planned: Planned,
    /// Its place in the report.
    number: usize,
    begun: bool,
}

/// The stops of one pass.
pub(crate) struct Stops<'p> {
    ctx: &'p Context<'p>,
    runtime: &'p Runtime<'p>,
    pacing: Rc<Semaphore>,
    /// By the containers' IDs.
    open: Rc<RefCell<HashMap<Text, Open>>>,
    added: Cell<usize>,
    /// Those of each look.
    beside: RefCell<FuturesUnordered<LocalBoxFuture<'p, ()>>>,
    /// Those that may make the runtime crash: once all else is done, and one at a time (S0.8).
    alone: RefCell<VecDeque<LocalBoxFuture<'p, ()>>>,
}

impl<'p> Stops<'p> {
    pub(crate) fn new(ctx: &'p Context<'p>, runtime: &'p Runtime<'p>) -> Stops<'p> {
        Stops {
            ctx,
            runtime,
            pacing: Rc::new(Semaphore::new(SLOTS)),
            open: Rc::default(),
            added: Cell::default(),
            beside: RefCell::default(),
            alone: RefCell::default(),
        }
    }

    /// These containers of a look are to be stopped.
    pub(crate) fn add(&self, snapshot: &Snapshot, planned: Vec<(Planned, Container)>) {
        if planned.is_empty() {
            return;
        }
        let snapshot = Rc::new(snapshot.clone());
        let unfinished = self.ctx.attempts.unfinished.borrow();
        let turns = turns(planned, Kind::Container, |(e, _)| &e.id, &unfinished);
        let mut beside = turns.first;
        beside.extend(turns.again);
        let job = |planned: Vec<(Planned, Container)>, alone: bool| {
            let open = planned.iter().map(|(entry, _)| {
                let open = Open {
                    planned: entry.clone(),
                    number: self.added.replace(self.added.get() + 1),
                    begun: false,
                };
                (entry.id.clone(), open)
            });
            self.open.borrow_mut().extend(open);
            let job = Job {
                ctx: self.ctx,
                runtime: self.runtime,
                pacing: self.pacing.clone(),
                open: self.open.clone(),
                alone,
            };
            let snapshot = snapshot.clone();
            let ctx = self.ctx;
            let work = async move {
                stage(ctx, job.all(&snapshot, planned)).await;
            };
            Box::pin(work) as LocalBoxFuture<'p, ()>
        };
        self.beside.borrow_mut().push(job(beside, false));
        for planned in turns.alone {
            let work = job(vec![planned], true);
            self.alone.borrow_mut().push_back(work);
        }
    }

    /// Does other work of the pass while they go on.
    pub(crate) async fn beside<R>(&self, work: impl Future<Output = R>) -> R {
        let mut work = pin!(work);
        std::future::poll_fn(|cx| {
            let done = work.as_mut().poll(cx);
            if done.is_pending() {
                let _ = self.poll(cx);
            }
            done
        })
        .await
    }

    fn poll(&self, cx: &mut task::Context<'_>) -> Poll<()> {
        let mut beside = self.beside.borrow_mut();
        while let Poll::Ready(ended) = beside.poll_next_unpin(cx) {
            if ended.is_none() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// All else is done: waits for them, but not for ever.
    pub(crate) async fn wait(&self) {
        let ended = async {
            std::future::poll_fn(|cx| self.poll(cx)).await;
            loop {
                let next = self.alone.borrow_mut().pop_front();
                match next {
                    Some(work) => work.await,
                    None => break,
                }
            }
        };
        let limit = self.ctx.hooks.stop_wait.unwrap_or(WAIT);
        if !self.open.borrow().is_empty() {
            tokio::select! {
                () = ended => {}
                () = sleep_until(BootInstant::now().plus(limit)) => {}
            }
        }
        self.beside.borrow_mut().clear();
        self.alone.borrow_mut().clear();
        let mut open: Vec<Open> = self.open.take().into_values().collect();
        open.sort_by_key(|open| open.number);
        for Open { planned, begun, .. } in open {
            let done = if begun {
                Fate::Silent(format!(
                    "cannot stop container {}: still stopping after the pass waited {limit:?} for it; the next pass goes on, with what is left of its grace period",
                    visible(&planned.id)
                ))
            } else {
                Fate::Kept(Reason::NotReached)
            };
            self.ctx.record(planned, done);
        }
    }
}

/// Stops the containers of one look.
struct Job<'p> {
    ctx: &'p Context<'p>,
    runtime: &'p Runtime<'p>,
    pacing: Rc<Semaphore>,
    open: Rc<RefCell<HashMap<Text, Open>>>,
    alone: bool,
}

impl Job<'_> {
    async fn all(&self, snapshot: &Snapshot, planned: Vec<(Planned, Container)>) {
        let evidence = &Evidence::ask(self.ctx, snapshot, []);
        stream::iter(planned)
            .for_each_concurrent(SLOTS, |(planned, container)| async move {
                // Nobody closes it.
                let _slot = self.pacing.acquire().await;
                let gate = Gate::new(self.ctx, Some(evidence), &planned);
                let result = object(self.ctx, self.one(&container, &gate)).await;
                self.ended(planned, result);
            })
            .await;
    }

    /// Whether the runtime knew it, and when the host approved; `Err` = it stays.
    async fn one(&self, c: &Container, gate: &Gate<'_>) -> Result<(bool, BootInstant), Fate> {
        gate.open()?;
        let approved = BootInstant::now();
        if let Some(open) = self.open.borrow_mut().get_mut(&c.id) {
            open.begun = true;
        }
        let flight = self.ctx.later.take_off();
        let flight = if self.alone {
            flight
        } else {
            // Lists and questions are in flight with it.
            flight.in_company()
        };
        match stop(self.ctx, self.runtime, c).await {
            Ok(was_known) => Ok((was_known, approved)),
            Err(fate) => Err(flight.landed(fate)),
        }
    }

    fn ended(&self, planned: Planned, result: Result<(bool, BootInstant), Fate>) {
        self.open.borrow_mut().remove(&planned.id);
        match result {
            Ok((was_known, approved)) => self.ctx.later.has_stopped(planned, was_known, approved),
            Err(fate) => {
                self.ctx.record(planned, fate);
            }
        }
    }
}

/// Stops one container, with what is left of its grace period since that was tried first.
async fn stop(ctx: &Context<'_>, runtime: &Runtime<'_>, c: &Container) -> Result<bool, Fate> {
    let grace = grace_period(c.deletion_grace.as_deref(), c.termination_grace.as_deref());
    let now = BootInstant::now().since_boot();
    let since = ctx.attempts.unfinished.borrow_mut().stops(&c.id, now);
    let seconds = stop_timeout(grace.saturating_sub(since.as_secs()));
    match runtime.stop_container(&c.id, seconds).await {
        Ok(()) => Ok(true),
        Err(CallError::NotFound(_)) => Ok(false),
        Err(e) => {
            let doing = format!("cannot stop container {}", visible(&c.id));
            Err(Fate::of(&e, &doing, runtime.endpoint))
        }
    }
}
