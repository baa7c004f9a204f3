//! The one line of `kubectl get`: what is so, then what to do.

use super::view::{View, Waits};
use crate::phase::Phase;
use crate::schedule::moment;

/// No message is longer, in characters.
const MAX_CHARS: usize = 120;

impl View<'_> {
    /// What is so, then what to do; it names times, not countdowns.
    pub(super) fn message(&self) -> String {
        let share = self.share();
        let name = self.spec.map_or("NAME", |(release, _)| release.name.as_str());
        match self.state.phase {
            Phase::Pending | Phase::Scheduled => match (self.waits(), self.starts()) {
                (Waits::Cure(finding), _) => fit(&finding.to_string(), ""),
                _ if self.state.phase == Phase::Scheduled && self.is_frozen() => {
                    "spec.schedule.frozen is true. Set it to false, and it starts.".to_owned()
                }
                (_, Some(start)) if self.state.phase == Phase::Scheduled => format!("It starts at {}.", moment(start)),
                _ => "It starts when a route of this class sends to it.".to_owned(),
            },
            Phase::Progressing => self.under_way(&share, name),
            Phase::Paused => self.paused(&share, name),
            Phase::Steady => match self.waits() {
                Waits::Cure(finding) => fit(&finding.to_string(), ""),
                _ => format!("It serves {}, as asked.", self.order()),
            },
            Phase::Promoted => self.promoted(),
            Phase::Completed => {
                fit("The routes do by themselves what the canary does.", "This release can be deleted, or get a new revision.")
            }
            Phase::Aborted => aborted(&self.abort_cause(), name),
            Phase::Disabled => "spec.enabled is false, so all is on stable. Set it to true to begin a new attempt.".to_owned(),
        }
    }

    fn under_way(&self, share: &str, name: &str) -> String {
        match self.waits() {
            Waits::Cure(finding) => fit(&format!("Held at {share}. {finding}"), ""),
            Waits::Rollout(sentence) => fit(&format!("Held at {share}. {sentence}"), "It goes on when it is."),
            Waits::Replicas => {
                format!("It waits for replicas: {} of {} serve it.", self.facts.replicas_programmed, self.facts.replicas_ready)
            }
            Waits::Ramp { to, until, then } if until < then => {
                format!("It rises to {to} % until {}, and stays there until {}.", moment(until), moment(then))
            }
            Waits::Ramp { to, until, .. } => format!("It rises to {to} % until {}.", moment(until)),
            Waits::Hold { until } => match self.previews() {
                Some(true) => {
                    fit(&format!("The preview is ready. All switch to it at {}.", moment(until)), &format!("At once: serin promote {name}"))
                }
                Some(false) => {
                    fit(&format!("All have switched. It is promoted at {}.", moment(until)), &format!("Back: serin abort {name}"))
                }
                None => format!("It stays at {share} until {}.", moment(until)),
            },
            Waits::Verdict(sentence) => fit(&format!("Held at {share}. {sentence}"), ""),
            Waits::Window(_) if self.is_frozen() => {
                fit(&format!("Held at {share}: spec.schedule.frozen is true."), "Set it to false to go on.")
            }
            Waits::Window(Some(opens)) => {
                fit(&format!("Held at {share}: outside its windows."), &format!("It goes on at {}.", moment(opens)))
            }
            Waits::Window(None) => {
                fit(&format!("Held at {share}: outside its windows, and none opens soon."), "Change spec.schedule.windows.")
            }
            Waits::Endpoints => format!("It is at {share}, but the canary has no ready endpoint. Look at its pods."),
        }
    }

    fn paused(&self, share: &str, name: &str) -> String {
        let pauses = self.state.pauses;
        let cure = format!("Go on with: serin resume {name}");
        if pauses.analysis {
            return fit(&self.pause_cause(), &format!("Paused at {share}: serin resume {name}, or serin abort {name}"));
        }
        if pauses.command {
            return fit(&format!("It was paused at {share} by command."), &cure);
        }
        if self.awaits_promotion() {
            return fit("The preview is ready.", &format!("Switch with: serin promote {name}"));
        }
        match self.step() {
            Some((index, of)) if pauses.step => fit(&format!("Step {index}/{of} pauses at {share}."), &cure),
            _ => format!("spec.paused keeps it at {share}. Set it to false to go on."),
        }
    }

    fn promoted(&self) -> String {
        let canary = self.facts.canary.as_deref().unwrap_or("the canary");
        if let [first, others @ ..] = &self.facts.waits_for[..] {
            let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
            return fit(&format!("100 % on {canary}. Its Service is shared: it waits for {first}{more}."), "See ReadyToFinalize.");
        }
        let then = if self.stays() { "then it takes the next revision." } else { "then delete this release." };
        if let [edit] = &self.facts.edits[..] {
            let short = format!("100 % on {canary}. {}, {then}", edit.text.trim_end_matches('.'));
            if !edit.text.contains('\n') && short.chars().count() <= MAX_CHARS {
                return short;
            }
        }
        let open = self.state.routes.len().saturating_sub(self.facts.done.len());
        let left = match open {
            0 => String::new(),
            1 => "; 1 route is to be changed".to_owned(),
            n => format!("; {n} routes are to be changed"),
        };
        fit(&format!("100 % on {canary}{left}."), &format!("See status.finalize, {then}"))
    }
}

/// The cure is as long as the cause leaves room for.
fn aborted(cause: &str, name: &str) -> String {
    let retry = format!("Fix it, then: serin retry {name}");
    let cures = [format!("All is on stable. {retry}, or a new revision."), format!("All is on stable. {retry}")];
    let room = MAX_CHARS.saturating_sub(cause.chars().count() + 1);
    fit(cause, cures.iter().find(|cure| cure.chars().count() <= room).unwrap_or(&retry))
}

/// `cause` and `cure` in one line; the cure is never cut, and the cause only between words, since half a number is another one.
pub fn fit(cause: &str, cure: &str) -> String {
    let gap = usize::from(!cure.is_empty());
    let room = MAX_CHARS.saturating_sub(cure.chars().count() + gap);
    let mut line = if cause.chars().count() <= room {
        cause.to_owned()
    } else {
        let kept: String = cause.chars().take(room.saturating_sub(2)).collect();
        let whole = kept.rfind(char::is_whitespace).map_or(kept.as_str(), |end| &kept[..end]);
        format!("{}...", whole.trim_end_matches([' ', ',']))
    };
    if gap == 1 {
        line.push(' ');
        line.push_str(cure);
    }
    line.chars().take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_cause_is_cut_and_its_cure_is_not() {
        let line = fit(&"wörter ".repeat(40), "Do this.");
        assert!((MAX_CHARS - 6..=MAX_CHARS).contains(&line.chars().count()), "{line}");
        assert!(line.ends_with(" wörter... Do this."), "{line}");
        assert_eq!(fit("It is so.", "Do this."), "It is so. Do this.");
        assert_eq!(fit("x", &"y".repeat(300)).chars().count(), MAX_CHARS);
        assert!(fit(&"z".repeat(300), "Do this.").chars().count() <= MAX_CHARS);
    }

    #[test]
    fn a_number_is_shown_whole_or_not_at_all() {
        for length in 0..MAX_CHARS {
            let line = fit("limit 15.00 % and a word that is not needed", &"y".repeat(length));
            let shown = line.split("...").next().unwrap_or_default();
            assert!(!shown.contains('1') || shown.contains("15.00"), "{line}");
        }
    }

    #[test]
    fn an_abort_tells_the_figures_of_both_sides_and_the_cure_in_one_line() {
        let cause = "Check errors failed: canary 34.29 % of 48713, stable 0.12 % of 493122, limit +5.00 % (plain threshold).";
        let line = aborted(cause, "checkout");
        assert_eq!(
            line,
            "Check errors failed: canary 34.29 % of 48713, stable 0.12 % of 493122, limit +5.00... Fix it, then: serin retry checkout"
        );
        assert_eq!(aborted("It failed.", "a"), "It failed. All is on stable. Fix it, then: serin retry a, or a new revision.");
    }
}
