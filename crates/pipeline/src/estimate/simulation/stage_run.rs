//! One stage, event by event.

use std::collections::{BinaryHeap, VecDeque};

use super::super::cluster::ClusterModel;
use super::events::{Event, Timer, Turn};
use super::nodes::Nodes;
use super::profile::{Profile, SlotCounts};
use super::units::{Unit, Units};
use super::{Planned, StageRun};

/// What a slot does.
#[derive(Debug, Clone, Copy)]
enum State {
    Free,
    Starting(Unit),
    /// Ends when the common clock of running units shows this.
    Running(Unit, f64),
    Down,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    state: State,
    /// Counts up with each change, so that events of before can be told.
    change: u32,
    /// Whether it is in the list of free slots.
    listed: bool,
}

/// What is next.
enum Next {
    Finish,
    Timer,
    Failure,
}

pub(super) struct StageEngine<'a> {
    cluster: &'a ClusterModel,
    nodes: &'a mut Nodes,
    units: Units<'a>,
    slots_per_node: usize,
    begin: f64,
    now: f64,
    /// The clock of running units: slower than the one on the wall while the store has not enough
    /// bytes a second for all.
    progress: f64,
    /// Bytes a second that running units want.
    demand: f64,
    slots: Vec<Slot>,
    free: Vec<usize>,
    requeued: VecDeque<Unit>,
    finishes: BinaryHeap<Event<Turn>>,
    timers: BinaryHeap<Event<Timer>>,
    /// When the scheduler can start the next task.
    next_start: f64,
    counts: SlotCounts,
    unfinished: u64,
    run: StageRun,
}

impl<'a> StageEngine<'a> {
    pub(super) fn new(
        stage: &Planned<'_>,
        cluster: &'a ClusterModel,
        nodes: &'a mut Nodes,
        units: Units<'a>,
        begin: f64,
    ) -> Self {
        let count = (cluster.nodes * stage.slots_per_node) as usize;
        let now = begin + cluster.job_latency_seconds;
        let free = Slot { state: State::Free, change: 0, listed: true };
        let mut engine = Self {
            cluster,
            nodes,
            units,
            slots_per_node: stage.slots_per_node as usize,
            begin,
            now,
            progress: 0.0,
            demand: 0.0,
            slots: vec![free; count],
            // The last is taken first.
            free: (0..count).rev().collect(),
            requeued: VecDeque::new(),
            finishes: BinaryHeap::new(),
            timers: BinaryHeap::new(),
            next_start: now,
            counts: SlotCounts::default(),
            unfinished: 0,
            run: StageRun {
                begin_seconds: begin,
                last_shard_seconds: now,
                end_seconds: now,
                slots: count as u64,
                profile: Profile::new(),
                tail_begin_seconds: now,
                tail: Profile::new(),
                failures: 0,
                lost_slot_seconds: 0.0,
                stragglers: 0,
                units: 0,
            },
        };
        engine.take_over_nodes();
        engine
    }

    /// Nodes that failed between two stages, or are still down from the last one.
    fn take_over_nodes(&mut self) {
        while self.nodes.next_failure() < self.now {
            self.nodes.fail();
        }
        let down: Vec<(usize, f64)> = self.nodes.down(self.now).collect();
        for (node, back_at) in down {
            self.stop_node(node, back_at);
        }
        self.run.profile.add(0.0, self.now - self.begin, self.counts);
    }

    /// Works until every unit is done.
    pub(super) fn run(mut self) -> StageRun {
        self.hand_out();
        while self.unfinished > 0 || !self.units.is_empty() {
            match self.next() {
                (Next::Finish, at) => self.finish(at),
                (Next::Timer, at) => self.timer(at),
                (Next::Failure, at) => self.failure(at),
            }
            self.hand_out();
        }
        self.run.last_shard_seconds = self.now;
        self.run.units = self.units.handed_out;
        self.run.stragglers = self.units.stragglers;
        self.run
    }

    /// How fast running units go on: 1, or less if the store is the limit.
    fn speed(&self) -> f64 {
        match self.cluster.store_bytes_per_second {
            Some(store) if self.demand > store => store / self.demand,
            _ => 1.0,
        }
    }

    fn next(&self) -> (Next, f64) {
        let finish = self.finishes.peek().map_or(f64::INFINITY, |event| {
            self.now + (event.at - self.progress).max(0.0) / self.speed()
        });
        let timer = self.timers.peek().map_or(f64::INFINITY, |event| event.at);
        let failure = self.nodes.next_failure();
        if failure < finish && failure < timer {
            (Next::Failure, failure)
        } else if timer < finish {
            (Next::Timer, timer)
        } else {
            (Next::Finish, finish)
        }
    }

    /// Lets time pass.
    fn advance(&mut self, to: f64) {
        let (from, to) = (self.now, to.max(self.now));
        self.run.profile.add(from - self.begin, to - self.begin, self.counts);
        if self.units.is_empty() {
            let begin = self.run.tail_begin_seconds;
            self.run.tail.add(from - begin, to - begin, self.counts);
        }
        self.progress += (to - from) * self.speed();
        self.now = to;
    }

    /// Gives work to free slots: first what was begun before, then what is next.
    fn hand_out(&mut self) {
        while !(self.requeued.is_empty() && self.units.is_empty()) {
            let Some(slot) = self.free_slot() else { return };
            let Some(unit) = self.next_unit() else { return };
            self.start(slot, unit);
        }
    }

    fn next_unit(&mut self) -> Option<Unit> {
        if let Some(unit) = self.requeued.pop_front() {
            return Some(unit);
        }
        let unit = self.units.next()?;
        self.unfinished += 1;
        if self.units.is_empty() {
            self.run.tail_begin_seconds = self.now;
        }
        Some(unit)
    }

    fn free_slot(&mut self) -> Option<usize> {
        while let Some(slot) = self.free.pop() {
            self.slots[slot].listed = false;
            if matches!(self.slots[slot].state, State::Free) {
                return Some(slot);
            }
        }
        None
    }

    /// Starts tasks one after the other; each takes a while until it works.
    fn start(&mut self, slot: usize, unit: Unit) {
        self.next_start = self.next_start.max(self.now) + 1.0 / self.cluster.starts_per_second;
        let at = self.next_start + self.cluster.task_start_seconds;
        if at <= self.now {
            return self.work(slot, unit);
        }
        let turn = self.change(slot, State::Starting(unit));
        self.counts.starting += 1.0;
        self.timers.push(Event { at, what: Timer::Started(turn) });
    }

    fn work(&mut self, slot: usize, unit: Unit) {
        let end = self.progress + unit.left;
        let turn = self.change(slot, State::Running(unit, end));
        self.demand += unit.demand;
        self.counts.busy += 1.0;
        self.finishes.push(Event { at: end, what: turn });
    }

    fn change(&mut self, slot: usize, state: State) -> Turn {
        let entry = &mut self.slots[slot];
        entry.state = state;
        entry.change = entry.change.wrapping_add(1);
        Turn { slot, change: entry.change }
    }

    /// A unit no longer runs.
    fn leave(&mut self, unit: &Unit) {
        self.counts.busy -= 1.0;
        // What rounding leaves does not add up.
        self.demand = if self.counts.busy == 0.0 { 0.0 } else { self.demand - unit.demand };
    }

    fn finish(&mut self, at: f64) {
        let Some(event) = self.finishes.pop() else { return };
        let slot = event.what.slot;
        let State::Running(unit, _) = self.slots[slot].state else { return };
        if self.slots[slot].change != event.what.change {
            return;
        }
        self.advance(at);
        self.progress = event.at;
        self.leave(&unit);
        self.change(slot, State::Free);
        self.list(slot);
        self.unfinished -= 1;
    }

    fn list(&mut self, slot: usize) {
        if !self.slots[slot].listed {
            self.slots[slot].listed = true;
            self.free.push(slot);
        }
    }

    fn timer(&mut self, at: f64) {
        let Some(event) = self.timers.pop() else { return };
        match event.what {
            Timer::Started(turn) => {
                let entry = self.slots[turn.slot];
                let State::Starting(unit) = entry.state else { return };
                if entry.change == turn.change {
                    self.advance(at);
                    self.counts.starting -= 1.0;
                    self.work(turn.slot, unit);
                }
            }
            Timer::Requeued(unit) => {
                self.advance(at);
                self.requeued.push_back(unit);
            }
            Timer::NodeBack(node) => {
                self.advance(at);
                for slot in self.slots_of(node) {
                    self.change(slot, State::Free);
                    self.counts.down -= 1.0;
                    self.list(slot);
                }
            }
        }
    }

    fn slots_of(&self, node: usize) -> std::ops::Range<usize> {
        node * self.slots_per_node..(node + 1) * self.slots_per_node
    }

    fn failure(&mut self, at: f64) {
        self.advance(at);
        let Some(node) = self.nodes.fail() else { return };
        self.run.failures += 1;
        self.stop_node(node, self.nodes.back_at(node));
    }

    /// What ran on a node goes back into the queue; blocks that were not finished begin again.
    fn stop_node(&mut self, node: usize, back_at: f64) {
        for slot in self.slots_of(node) {
            match self.slots[slot].state {
                State::Running(unit, end) => {
                    self.leave(&unit);
                    self.requeue(unit, end);
                }
                State::Starting(unit) => {
                    self.counts.starting -= 1.0;
                    self.requeue_at(unit);
                }
                State::Free | State::Down => {}
            }
            self.change(slot, State::Down);
            self.counts.down += 1.0;
        }
        self.timers.push(Event { at: back_at, what: Timer::NodeBack(node) });
    }

    fn requeue(&mut self, mut unit: Unit, end: f64) {
        let left = (end - self.progress).max(0.0);
        let done = (unit.work - left).max(0.0);
        let lost = if unit.block > 0.0 { done % unit.block } else { 0.0 };
        self.run.lost_slot_seconds += lost;
        unit.left = left + lost;
        self.requeue_at(unit);
    }

    fn requeue_at(&mut self, unit: Unit) {
        let at = self.now + self.cluster.requeue_seconds;
        self.timers.push(Event { at, what: Timer::Requeued(unit) });
    }
}
