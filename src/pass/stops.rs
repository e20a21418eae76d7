//! Stops of UNKNOWN containers (S2.3). They have slots of their own beside the stages of a pass, which do not wait for them. Containers
//! whose stop has ended by the end of the pass are removed then.

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
use std::task::{self, Poll, ready};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How many containers are stopped at once.
const SLOTS: usize = 2;

/// How long a pass waits for stops once all else is done, whatever the annotations say.
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
    shared: Rc<Shared<'p>>,
    /// Those of each snapshot.
    beside: RefCell<FuturesUnordered<LocalBoxFuture<'p, ()>>>,
    /// Those that may make the runtime crash: they run once all else is done, and one at a time (S0.8).
    alone: RefCell<VecDeque<LocalBoxFuture<'p, ()>>>,
}

impl<'p> Stops<'p> {
    pub(crate) fn new(ctx: &'p Context<'p>, runtime: &'p Runtime<'p>) -> Stops<'p> {
        let shared = Shared {
            ctx,
            runtime,
            slots: Semaphore::new(SLOTS),
            open: RefCell::default(),
            added: Cell::default(),
        };
        Stops {
            shared: Rc::new(shared),
            beside: RefCell::default(),
            alone: RefCell::default(),
        }
    }

    /// Adds containers of a snapshot that are to be stopped.
    pub(crate) fn add(&self, snapshot: &Snapshot, planned: Vec<(Planned, Container)>) {
        if planned.is_empty() {
            return;
        }
        let snapshot = Rc::new(snapshot.clone());
        let unfinished = self.shared.ctx.attempts.unfinished.borrow();
        let turns = turns(planned, Kind::Container, |(e, _)| &e.id, &unfinished);
        let mut beside = turns.first;
        beside.extend(turns.again);
        let work = |planned: Vec<(Planned, Container)>, is_alone: bool| {
            for (planned, _) in &planned {
                self.shared.opens(planned);
            }
            let (shared, snapshot) = (self.shared.clone(), snapshot.clone());
            let work = async move {
                stage(shared.ctx, shared.stop_all(&snapshot, planned, is_alone)).await;
            };
            Box::pin(work) as LocalBoxFuture<'p, ()>
        };
        self.beside.borrow_mut().push(work(beside, false));
        for planned in turns.alone {
            let work = work(vec![planned], true);
            self.alone.borrow_mut().push_back(work);
        }
    }

    /// Does other work of the pass while the stops run.
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
        while ready!(beside.poll_next_unpin(cx)).is_some() {}
        Poll::Ready(())
    }

    /// All else is done: waits for the stops, but not for ever.
    pub(crate) async fn wait(&self) {
        let ended = async {
            std::future::poll_fn(|cx| self.poll(cx)).await;
            let next = || self.alone.borrow_mut().pop_front();
            while let Some(work) = next() {
                work.await;
            }
        };
        let shared = &self.shared;
        let limit = shared.ctx.hooks.stop_wait.unwrap_or(WAIT);
        if !shared.open.borrow().is_empty() {
            tokio::select! {
                () = ended => {}
                () = sleep_until(BootInstant::now().plus(limit)) => {}
            }
        }
        self.beside.borrow_mut().clear();
        self.alone.borrow_mut().clear();
        let mut open: Vec<Open> = shared.open.take().into_values().collect();
        open.sort_unstable_by_key(|open| open.number);
        for Open { planned, begun, .. } in open {
            let fate = if begun {
                Fate::Silent(format!(
                    "cannot stop container {}: still stopping after the pass waited {limit:?} for it; the next pass continues with the rest of its grace period",
                    visible(&planned.id)
                ))
            } else {
                Fate::kept(Reason::NotReached)
            };
            shared.ctx.record(planned, fate);
        }
    }
}

/// What the stops of one pass share.
struct Shared<'p> {
    ctx: &'p Context<'p>,
    runtime: &'p Runtime<'p>,
    slots: Semaphore,
    /// By the containers' IDs.
    open: RefCell<HashMap<Text, Open>>,
    added: Cell<usize>,
}

impl Shared<'_> {
    fn opens(&self, planned: &Planned) {
        let open = Open {
            planned: planned.clone(),
            number: self.added.replace(self.added.get() + 1),
            begun: false,
        };
        self.open.borrow_mut().insert(planned.id.clone(), open);
    }

    async fn stop_all(
        &self,
        snapshot: &Snapshot,
        planned: Vec<(Planned, Container)>,
        is_alone: bool,
    ) {
        let evidence = &Evidence::ask(self.ctx, snapshot, []);
        stream::iter(planned)
            .for_each_concurrent(SLOTS, |(planned, container)| async move {
                // The semaphore is never closed.
                let _slot = self.slots.acquire().await;
                let gate = Gate::new(self.ctx, Some(evidence), &planned);
                let result = object(self.ctx, self.stop(&container, &gate, is_alone)).await;
                self.ended(planned, result);
            })
            .await;
    }

    /// Whether the runtime knew the container, and when the host approved; `Err` = it is kept.
    async fn stop(
        &self,
        c: &Container,
        gate: &Gate<'_>,
        is_alone: bool,
    ) -> Result<(bool, BootInstant), Fate> {
        gate.open()?;
        let approved = BootInstant::now();
        if let Some(open) = self.open.borrow_mut().get_mut(&c.id) {
            open.begun = true;
        }
        let mut flight = self.ctx.later.take_off();
        if !is_alone {
            // Lists and questions are in flight with it.
            flight = flight.in_company();
        }
        let stopped = self.call(c).await;
        let was_known = stopped.map_err(|fate| flight.landed(fate))?;
        Ok((was_known, approved))
    }

    /// Stops a container, with the rest of its grace period since that was first tried. Returns whether the runtime knew it.
    async fn call(&self, c: &Container) -> Result<bool, Fate> {
        let grace = grace_period(c.deletion_grace.as_deref(), c.termination_grace.as_deref());
        let now = BootInstant::now().since_boot();
        let since = self.ctx.attempts.unfinished.borrow_mut().stops(&c.id, now);
        let seconds = stop_timeout(grace.saturating_sub(since.as_secs()));
        match self.runtime.stop_container(&c.id, seconds).await {
            Ok(()) => Ok(true),
            Err(CallError::NotFound(_)) => Ok(false),
            Err(e) => {
                let doing = format!("cannot stop container {}", visible(&c.id));
                Err(Fate::of(&e, &doing, self.runtime.endpoint))
            }
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
