//! Markdown tables.

/// The rows of every table whose header's first cell is `first`, without header and rule; cells trimmed.
pub(crate) fn rows(markdown: &str, first: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut inside = false;
    for line in markdown.lines() {
        let Some(line) = line.trim().strip_prefix('|') else {
            inside = false;
            continue;
        };
        // `\|` is a bar inside of a cell.
        let line = line.replace("\\|", "\u{1}");
        let cells: Vec<String> =
            line.trim_end_matches('|').split('|').map(|c| c.trim().replace('\u{1}', "|")).collect();
        if inside && !cells.iter().all(|c| c.chars().all(|c| matches!(c, '-' | ':'))) {
            rows.push(cells);
        } else if cells[0] == first {
            inside = true;
        }
    }
    assert!(!rows.is_empty(), "no table that begins with '{first}'");
    rows
}

#[test]
fn rows_end_with_their_table() {
    let text = "| a | b |\n|---|---|\n| 1 | x\\|y |\n\n| c |\n|---|\n| 3 |\n";
    assert_eq!(rows(text, "a"), [["1", "x|y"]]);
    assert_eq!(rows(text, "c"), [["3"]]);
}
