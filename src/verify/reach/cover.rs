//! The fewest inputs that together reach what all of them reach, nearly.

/// Chooses among `sets`, greedily, until nothing is added or there are `most`; `covered` says what needs none of them, and is brought up
/// to date. `weights` say how much each element counts. Gives their places, the most telling first.
pub(super) fn cover(sets: &[Vec<bool>], weights: &[f64], covered: &mut [bool], most: usize) -> Vec<usize> {
    let mut chosen = Vec::new();
    while chosen.len() < most {
        let new = |set: &[bool]| set.iter().zip(covered.iter()).map(|(s, c)| *s && !*c).collect::<Vec<_>>();
        let gain = |set: &[bool]| new(set).iter().zip(weights).filter(|(n, _)| **n).map(|(_, w)| w).sum::<f64>();
        // Of equals the first: the earlier inputs are the plainer ones.
        let best = sets.iter().enumerate().map(|(i, s)| (gain(s), i)).reduce(|a, b| if b.0 > a.0 { b } else { a });
        let Some((_, index)) = best.filter(|(gain, _)| *gain > 0.0) else { break };
        covered.iter_mut().zip(&sets[index]).for_each(|(c, s)| *c = *c || *s);
        chosen.push(index);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::cover;

    fn set(bits: &str) -> Vec<bool> {
        bits.chars().map(|c| c == '1').collect()
    }

    #[test]
    fn what_adds_nothing_is_left_out() {
        let mut covered = set("10000");
        let sets = [set("11000"), set("01110"), set("00110"), set("10000")];
        assert_eq!(cover(&sets, &[1.0; 5], &mut covered, 9), [1]);
        assert_eq!(covered, set("11110"));
    }

    #[test]
    fn the_most_telling_come_first_and_no_more_than_asked_for() {
        let mut covered = set("0000");
        let sets = [set("1000"), set("0110"), set("0001")];
        assert_eq!(cover(&sets, &[1.0; 5], &mut covered, 2), [1, 0]);
        assert_eq!(covered, set("1110"));
        assert_eq!(cover(&[], &[], &mut covered, 2), Vec::<usize>::new());
    }

    #[test]
    fn many_channels_count_no_more_than_one_node() {
        let sets = [set("1110"), set("0001")];
        assert_eq!(cover(&sets, &[0.1, 0.1, 0.1, 1.0], &mut set("0000"), 1), [1]);
    }
}
