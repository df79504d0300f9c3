//! Reports for people: one HTML file with pictures inside, that opens in any browser without a server
//! or a network.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use exavox_io::{VoxelSize, Voxels};

use crate::error::Result;
use crate::picture::{Rgb, label_colour};

mod overlay;
mod style;

pub use overlay::overlay_slices;

/// A page of figures, pictures and tables.
#[derive(Debug)]
pub struct Page<'a> {
    /// Heading, and title of the window.
    pub title: String,
    /// Names and values that matter most.
    pub figures: Vec<(String, String)>,
    /// Pictures of labels over images.
    pub overlays: Vec<Overlay<'a>>,
    /// Tables under the pictures.
    pub tables: Vec<Table>,
}

/// Labels over an image, shown as three orthogonal slices.
#[derive(Debug)]
pub struct Overlay<'a> {
    /// The image, any type, `[z, y, x]`.
    pub image: &'a Voxels,
    /// Labels of the same shape, 0 = background; integers.
    pub labels: &'a Voxels,
    /// First voxel in the volume, for the captions.
    pub origin: [u64; 3],
    /// Gives the pictures their true proportions.
    pub voxel_size: Option<VoxelSize>,
}

/// A table with a heading.
#[derive(Debug, Clone)]
pub struct Table {
    /// Heading.
    pub title: String,
    /// Names of the columns.
    pub header: Vec<String>,
    /// Cells, row by row.
    pub rows: Vec<Vec<String>>,
    /// The column that holds labels: each gets a patch in the colour it has in the pictures.
    pub label_column: Option<usize>,
}

impl Page<'_> {
    /// The HTML text.
    ///
    /// # Errors
    /// If image and labels of an overlay do not fit together.
    pub fn render(&self) -> Result<String> {
        let mut body = String::new();
        for overlay in &self.overlays {
            render_overlay(&mut body, overlay)?;
        }
        for table in &self.tables {
            table_html(&mut body, table);
        }
        Ok(document(&self.title, &self.figures, &body))
    }
}

/// A page of a title, figures and what comes under them.
pub(crate) fn document(title: &str, figures: &[(String, String)], body: &str) -> String {
    let title = escape(title);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{}</style></head><body>\n<h1>{title}</h1>\n",
        style::CSS
    );
    html.push_str("<dl>");
    for (name, value) in figures {
        push(
            &mut html,
            format_args!("<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value)),
        );
    }
    html.push_str("</dl>\n");
    html.push_str(body);
    html.push_str("</body></html>\n");
    html
}

fn render_overlay(html: &mut String, overlay: &Overlay<'_>) -> Result<()> {
    html.push_str("<section class=\"slices\">");
    for slice in overlay_slices(overlay)? {
        let data = STANDARD.encode(slice.picture.to_png()?);
        let caption = escape(&slice.caption);
        let (width, height) = slice.display_size;
        push(
            html,
            format_args!(
                "<figure><img alt=\"{caption}\" style=\"aspect-ratio:{width:.0}/{height:.0}\" \
                 src=\"data:image/png;base64,{data}\"><figcaption>{caption}</figcaption></figure>"
            ),
        );
    }
    html.push_str("</section>\n");
    Ok(())
}

/// Adds a table with its heading.
pub(crate) fn table_html(html: &mut String, table: &Table) {
    push(html, format_args!("<h2>{}</h2><table><thead><tr>", escape(&table.title)));
    for name in &table.header {
        push(html, format_args!("<th>{}</th>", escape(name)));
    }
    html.push_str("</tr></thead><tbody>");
    for row in &table.rows {
        html.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let patch = match cell.parse() {
                Ok(label) if table.label_column == Some(column) => patch(label_colour(label)),
                _ => String::new(),
            };
            push(html, format_args!("<td>{patch}{}</td>", escape(cell)));
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table>\n");
}

fn patch(Rgb([r, g, b]): Rgb) -> String {
    format!("<i style=\"background:rgb({r},{g},{b})\"></i>")
}

fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = html.write_fmt(text);
}

/// Text for HTML: names of files come from users.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
