//! How a report looks.

/// Style sheet; light and dark.
pub(super) const CSS: &str = "\
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}\
body{max-width:72rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.4rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin-top:2rem}\
dl{display:flex;flex-wrap:wrap;gap:.5rem 2.5rem}dt{opacity:.7;font-size:.85rem}\
dd{margin:0;font-size:1.15rem}\
.slices{display:flex;flex-wrap:wrap;gap:1rem;margin-top:1.5rem}\
figure{margin:0;flex:1 1 20rem;max-width:30rem}\
img{width:100%;image-rendering:pixelated;display:block;background:#000}\
figcaption{font-size:.85rem;opacity:.8}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.15rem .8rem;text-align:right;border-bottom:1px solid #8884}\
th:first-child,td:first-child{text-align:left}td{overflow-wrap:anywhere}\
i{display:inline-block;width:.9em;height:.9em;margin-right:.5em;vertical-align:-.1em}";
