//! Every event in every phase.

use super::*;
use crate::command::Outcome;
use serin_api::release::WHOLE;

/// Each event, then what one decision makes of it in the phases of [`Phase::ALL`], in that order. `0` is weight 0, `=` the weight of
/// before, `+` more, `-` less but not 0; `!` says that the command was refused.
const TABLE: &str = "
promote       Pending!0      Scheduled!0    Progressing+   Progressing+   Steady!=       Promoted!=     Completed!0    Aborted!0      Disabled!0
pause         Pending0       Scheduled0     Paused=        Paused=        Paused=        Promoted!=     Completed!0    Aborted!0      Disabled!0
resume        Pending!0      Scheduled!0    Progressing!=  Progressing=   Steady!=       Promoted!=     Completed!0    Aborted!0      Disabled!0
skip          Pending!0      Scheduled!0    Progressing=   Paused!=       Steady!=       Promoted!=     Completed!0    Aborted!0      Disabled!0
retry         Pending!0      Scheduled!0    Progressing!=  Paused!=       Steady!=       Promoted!=     Completed!0    Progressing0   Disabled!0
unknown       Pending!0      Scheduled!0    Progressing!=  Paused!=       Steady!=       Promoted!=     Completed!0    Aborted!0      Disabled!0
foreign       Pending!0      Scheduled!0    Progressing!=  Paused!=       Steady!=       Promoted!=     Completed!0    Aborted!0      Disabled!0
abort         Aborted0       Aborted0       Aborted0       Aborted0       Aborted0       Aborted0       Completed0     Aborted0       Disabled0
identity      Pending0       Scheduled0     Progressing0   Progressing0   Progressing0   Progressing0   Completed0     Progressing0   Disabled0
disable       Disabled0      Disabled0      Disabled0      Disabled0      Disabled0      Disabled0      Disabled0      Disabled0      Disabled0
enable        Pending0       Scheduled0     Progressing=   Paused=        Steady=        Promoted=      Completed0     Aborted0       Progressing0
steps         Pending0       Progressing+   Progressing=   Paused=        Progressing+   Promoted=      Completed0     Aborted0       Disabled0
groups        Pending0       Steady0        Steady0        Paused0        Steady0        Steady0        Completed0     Aborted0       Disabled0
admit         Pending0       Progressing0   Progressing=   Paused=        Progressing=   Promoted=      Completed0     Aborted0       Disabled0
blue-green    Pending0       Progressing0   Progressing=   Paused=        Progressing=   Promoted=      Completed0     Aborted0       Disabled0
freeze        Pending0       Scheduled0     Progressing=   Paused=        Steady=        Promoted=      Completed0     Aborted0       Disabled0
promote-then  Pending!0      Scheduled!0    Progressing!=  Paused!=       Steady!=       Promoted!=     Completed!0    Aborted!0      Disabled!0
percent-then  Pending0       Scheduled0     Progressing=   Paused=        Progressing=   Steady-        Completed0     Aborted0       Disabled0
percent-up    Pending0       Steady+        Steady+        Paused=        Steady+        Steady-        Completed0     Aborted0       Disabled0
percent-down  Pending0       Steady+        Steady-        Paused-        Steady-        Steady-        Completed0     Aborted0       Disabled0
pass          Pending0       Scheduled0     Progressing=   Paused=        Steady=        Promoted=      Completed0     Aborted0       Disabled0
fail          Pending0       Scheduled0     Aborted0       Aborted0       Aborted0       Promoted=      Completed0     Aborted0       Disabled0
no-data       Pending0       Scheduled0     Progressing=   Paused=        Steady=        Promoted=      Completed0     Aborted0       Disabled0
inconclusive  Pending0       Scheduled0     Progressing=   Paused=        Steady=        Promoted=      Completed0     Aborted0       Disabled0
unready       Pending0       Scheduled0     Progressing=   Paused=        Steady=        Promoted=      Completed0     Aborted0       Disabled0
unprogrammed  Pending0       Scheduled0     Progressing=   Paused=        Steady=        Promoted=      Completed0     Aborted0       Disabled0
canary-gone   Pending0       Scheduled0     Progressing=   Paused=        Steady=        Promoted=      Completed0     Aborted0       Disabled0
completed     Completed0     Completed0     Completed0     Completed0     Completed0     Completed0     Completed0     Aborted0       Disabled0
deadline      Pending0       Scheduled0     Aborted0       Paused=        Steady=        Promoted=      Completed0     Aborted0       Disabled0
";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Happens {
    Command(&'static str),
    Abort,
    NewIdentity,
    Disable,
    Enable,
    EditSteps,
    EditGroups,
    EditAdmit,
    EditBlueGreen,
    Freeze,
    PromoteFrozen,
    EditPercentageUpFrozen,
    EditPercentageUp,
    EditPercentageDown,
    Says(Verdict),
    Unready,
    Unprogrammed,
    CanaryGone,
    Completed,
    Deadline,
}

const EVENTS: [(&str, Happens); 29] = [
    ("promote", Happens::Command("promote")),
    ("pause", Happens::Command("pause")),
    ("resume", Happens::Command("resume")),
    ("skip", Happens::Command("skip")),
    ("retry", Happens::Command("retry")),
    ("unknown", Happens::Command("explode")),
    ("foreign", Happens::Command("promote@aaaaaaaaaa-1")),
    ("abort", Happens::Abort),
    ("identity", Happens::NewIdentity),
    ("disable", Happens::Disable),
    ("enable", Happens::Enable),
    ("steps", Happens::EditSteps),
    ("groups", Happens::EditGroups),
    ("admit", Happens::EditAdmit),
    ("blue-green", Happens::EditBlueGreen),
    ("freeze", Happens::Freeze),
    ("promote-then", Happens::PromoteFrozen),
    ("percent-then", Happens::EditPercentageUpFrozen),
    ("percent-up", Happens::EditPercentageUp),
    ("percent-down", Happens::EditPercentageDown),
    ("pass", Happens::Says(Verdict::Pass)),
    ("fail", Happens::Says(Verdict::Fail)),
    ("no-data", Happens::Says(Verdict::NoData)),
    ("inconclusive", Happens::Says(Verdict::Inconclusive)),
    ("unready", Happens::Unready),
    ("unprogrammed", Happens::Unprogrammed),
    ("canary-gone", Happens::CanaryGone),
    ("completed", Happens::Completed),
    ("deadline", Happens::Deadline),
];

/// A release that got to `phase` in the usual way.
pub(super) fn in_phase(phase: Phase) -> World {
    let mut w = World::new(Plan { analysis: Some(analysis()), ..plan(steps()) });
    w.verdict = Some(Verdict::Pass);
    match phase {
        Phase::Pending => w.evidence.ready = false,
        Phase::Scheduled => w.plan.strategy = Strategy::Linear { start: Some(at(7200)), duration: secs(3600) },
        Phase::Steady => w.plan.strategy = Strategy::Percentage(100_000),
        _ => {}
    }
    w.run(2 * MIN);
    match phase {
        Phase::Paused => drop(w.command("pause@0")),
        Phase::Promoted => drop(w.command("promote@0")),
        Phase::Completed => w.evidence.completed = true,
        Phase::Aborted => w.evidence.abort = Some("0".into()),
        Phase::Disabled => w.plan.enabled = false,
        Phase::Pending | Phase::Scheduled | Phase::Progressing | Phase::Steady => {}
    }
    w.run(10);
    w.now += 10;
    assert_eq!(w.state.phase, phase);
    w
}

fn cell(phase: Phase, event: Happens) -> String {
    let mut w = in_phase(phase);
    let before = w.k();
    match event {
        Happens::Command(text) => w.evidence.command = Some(text.into()),
        Happens::Abort => w.evidence.abort = Some("1".into()),
        Happens::NewIdentity => w.plan.release = "ffffffffff".into(),
        Happens::Disable => w.plan.enabled = false,
        Happens::Enable => w.plan.enabled = true,
        Happens::EditSteps => w.plan.strategy = Strategy::Steps(vec![weight(50, 0, MIN)]),
        Happens::EditGroups => w.plan.strategy = Strategy::Groups(Groups::Allow(names(&["testers"]))),
        Happens::EditAdmit => w.plan.strategy = Strategy::Steps(vec![admit(&["testers"], MIN)]),
        Happens::EditBlueGreen => w.plan.strategy = blue_green(None, MIN),
        Happens::Freeze => w.plan.schedule.frozen = true,
        Happens::PromoteFrozen => {
            w.plan.schedule.frozen = true;
            w.evidence.command = Some("promote".into());
        }
        Happens::EditPercentageUpFrozen => {
            w.plan.schedule.frozen = true;
            w.plan.strategy = Strategy::Percentage(WHOLE / 2);
        }
        Happens::EditPercentageUp => w.plan.strategy = Strategy::Percentage(WHOLE / 2),
        Happens::EditPercentageDown => w.plan.strategy = Strategy::Percentage(1_000),
        Happens::Says(verdict) => w.verdict = Some(verdict),
        Happens::Unready => w.evidence.ready = false,
        Happens::Unprogrammed => w.evidence.programmed = None,
        Happens::CanaryGone => w.evidence.canary_ready = false,
        Happens::Completed => w.evidence.completed = true,
        Happens::Deadline => {
            w.evidence.ready = false;
            w.run(100 * MIN);
        }
    }
    let before_command = w.state.last_command.clone();
    w.decide();
    let refused = w.state.last_command != before_command
        && w.state.last_command.as_ref().is_some_and(|last| matches!(last.outcome, Outcome::Refused(_)));
    let weight = match w.k() {
        0 => '0',
        k if k == before => '=',
        k if k > before => '+',
        _ => '-',
    };
    format!("{}{}{weight}", w.state.phase, if refused { "!" } else { "" })
}

#[test]
fn every_event_in_every_phase_has_a_row() {
    let table: String = EVENTS
        .iter()
        .map(|(name, event)| {
            let cells: Vec<String> = Phase::ALL.iter().map(|phase| format!("{:14}", cell(*phase, *event))).collect();
            format!("{name:13} {}\n", cells.join(" ").trim_end())
        })
        .collect();
    assert!(TABLE.trim() == table.trim(), "the table is now\n{table}");
}
