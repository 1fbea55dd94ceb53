//! Two numbers as bars, one above the other.

use maud::{Markup, html};

const WIDTH: f64 = 160.0;

/// `before` and `after` where the longest bar of the table stands for `most`.
pub(in crate::page) fn pair(before: u64, after: u64, most: u64) -> Markup {
    let length = |n: u64| if n == 0 { 0.0 } else { (n as f64 / most.max(1) as f64 * WIDTH).clamp(1.0, WIDTH) };
    html! {
        svg.bars width=(WIDTH) height="16" viewBox=(format!("0 0 {WIDTH} 16")) aria-hidden="true" {
            rect.before y="1" width=(format!("{:.1}", length(before))) height="6" rx="2" {}
            rect.after y="9" width=(format!("{:.1}", length(after))) height="6" rx="2" {}
        }
    }
}
