//! SWC files: `id type x y z radius parent` a line, `#` before remarks. R. C. Cannon et al., "An on-line
//! archive of reconstructed hippocampal neurons" (1998).

use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use exavox_io::Place;
use rustc_hash::FxHashMap;

use super::stem;
use crate::error::{Error, Result};

/// Bytes of a line at most.
const LONGEST_LINE: u64 = 4096;
/// Lines of a file at most, remarks among them.
const MOST_LINES: u64 = 1 << 22;

/// A skeleton: all that is in one file, however many roots it has.
#[derive(Debug)]
pub(super) struct Skeleton {
    /// The file.
    pub(super) path: PathBuf,
    /// Its name without extension.
    pub(super) name: String,
    /// Nodes in the order of the file.
    pub(super) nodes: Vec<Node>,
    /// Indices of child and parent.
    pub(super) edges: Vec<[u32; 2]>,
}

/// A node of a skeleton.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Node {
    /// Position as written, but in the order z, y, x.
    pub(super) position_zyx: [f64; 3],
    /// Line of the file, from 1.
    pub(super) line: u32,
}

/// A line with a node.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Entered {
    id: i64,
    position_zyx: [f64; 3],
    /// `None` for a root.
    parent: Option<i64>,
}

impl Skeleton {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Settings`] with file and line if a line is no node, an id comes twice, a parent is missing,
    /// nodes make a circle, or there are more lines, or longer ones, than a skeleton has.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let io = |source| Error::from(exavox_io::Error::io(Place::path(path), source));
        let mut reader = BufReader::new(File::open(path).map_err(io)?);
        let wrong = |line: u64, message: String| {
            Error::settings(format!("{} line {line}", path.display()), message)
        };
        let (mut nodes, mut parents, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        let mut indices: FxHashMap<i64, u32> = FxHashMap::default();
        for line in 1.. {
            bytes.clear();
            let mut limited = reader.by_ref().take(LONGEST_LINE + 1);
            if limited.read_until(b'\n', &mut bytes).map_err(io)? == 0 {
                break;
            }
            if line > MOST_LINES || bytes.len() as u64 > LONGEST_LINE {
                let message = format!(
                    "expected at most {MOST_LINES} lines of {LONGEST_LINE} bytes, found more: no skeleton"
                );
                return Err(wrong(line, message));
            }
            let Some(entered) = parse(&bytes).map_err(|message| wrong(line, message))? else {
                continue;
            };
            match indices.entry(entered.id) {
                Entry::Vacant(entry) => entry.insert(nodes.len() as u32),
                Entry::Occupied(_) => {
                    return Err(wrong(line, format!("node {} is there already", entered.id)));
                }
            };
            nodes.push(Node { position_zyx: entered.position_zyx, line: line as u32 });
            parents.push(entered.parent);
        }
        let parents = resolve(&nodes, &parents, &indices).and_then(|p| refuse_circles(&nodes, p));
        let parents = parents.map_err(|(line, message)| wrong(line.into(), message))?;
        let edges = (0..).zip(parents).filter_map(|(child, parent)| Some([child, parent?]));
        let edges = edges.collect();
        Ok(Self { path: path.to_owned(), name: stem(path), nodes, edges })
    }
}

/// The node of a line; `None` if it has none.
fn parse(line: &[u8]) -> Result<Option<Entered>, String> {
    let text = std::str::from_utf8(line).map_err(|_| "expected text, found bytes".to_owned())?;
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    // Seven columns; what some programs add behind them does not count.
    let columns: Vec<&str> =
        text.split([' ', '\t', ',']).filter(|column| !column.is_empty()).take(7).collect();
    let [id, _, x, y, z, _, parent] = columns[..] else {
        let found = columns.len();
        return Err(format!("expected id type x y z radius parent, found {found} columns"));
    };
    let number = |name: &str, text: &str| {
        let wrong = || format!("{name}: expected a finite number, found '{text}'");
        text.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(wrong)
    };
    let whole = |name: &str, text: &str| {
        text.parse::<i64>().map_err(|_| format!("{name}: expected a whole number, found '{text}'"))
    };
    let (id, parent) = (whole("id", id)?, whole("parent", parent)?);
    if id < 0 {
        return Err(format!("id: expected at least 0, found {id}"));
    }
    let position_zyx = [number("z", z)?, number("y", y)?, number("x", x)?];
    Ok(Some(Entered { id, position_zyx, parent: (parent >= 0).then_some(parent) }))
}

/// A line, and what is wrong there.
type Fault = (u32, String);

/// The index of each parent.
fn resolve(
    nodes: &[Node],
    parents: &[Option<i64>],
    indices: &FxHashMap<i64, u32>,
) -> Result<Vec<Option<u32>>, Fault> {
    let index = |(node, parent): (&Node, &Option<i64>)| match parent {
        None => Ok(None),
        Some(id) => match indices.get(id) {
            Some(index) => Ok(Some(*index)),
            None => Err((node.line, format!("parent {id} is no node of this file"))),
        },
    };
    nodes.iter().zip(parents).map(index).collect()
}

/// Walks from each node towards its root, as far as nobody has walked before.
fn refuse_circles(nodes: &[Node], parents: Vec<Option<u32>>) -> Result<Vec<Option<u32>>, Fault> {
    let mut walked = vec![0_u32; parents.len()];
    for (start, walk) in (0..parents.len()).zip(1..) {
        let mut at = start;
        while walked[at] == 0 {
            walked[at] = walk;
            match parents[at] {
                Some(parent) => at = parent as usize,
                None => break,
            }
        }
        if walked[at] == walk && parents[at].is_some() {
            return Err((nodes[at].line, "the node is its own ancestor".to_owned()));
        }
    }
    Ok(parents)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Skeleton> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("7.swc");
        std::fs::write(&path, text).unwrap();
        Skeleton::read(&path)
    }

    #[test]
    fn nodes_come_in_any_order_and_form() {
        let text =
            b"# a remark\r\n\n 2 3 1.5 2e1 -3 NA 1 more\r\n1,0,4,5,6,1.0,-1\n5\t0 7 8 9 0 -1";
        let found = read(text).unwrap();
        assert_eq!((found.name.as_str(), found.edges), ("7", vec![[0, 1]]));
        let nodes: Vec<_> = found.nodes.iter().map(|node| (node.position_zyx, node.line)).collect();
        let expected = [([-3.0, 20.0, 1.5], 3), ([6.0, 5.0, 4.0], 4), ([9.0, 8.0, 7.0], 5)];
        assert_eq!(nodes, expected);
        assert!(read(b"").unwrap().nodes.is_empty());
    }

    #[test]
    fn what_is_no_skeleton_is_refused_with_its_line() {
        let long = vec![b'#'; 5000];
        for (text, line, expected) in [
            (&b"1 0 0 0 0 1 -1\n2 0 0 0 0 1 7\n"[..], 2, "parent 7 is no node"),
            (&b"1 0 0 0 0 1 2\n2 0 0 0 0 1 3\n3 0 0 0 0 1 2\n"[..], 2, "its own ancestor"),
            (&b"1 0 0 0 0 1 1\n"[..], 1, "its own ancestor"),
            (&b"1 0 0 0 0 1 -1\n\n1 0 0 0 0 1 -1\n"[..], 3, "node 1 is there already"),
            (&b"1 0 NaN 0 0 1 -1\n"[..], 1, "x: expected a finite number, found 'NaN'"),
            (&b"1 0 0 inf 0 1 -1\n"[..], 1, "y: expected a finite number, found 'inf'"),
            (&b"1 0 0 0 0 1\n"[..], 1, "found 6 columns"),
            (&b"1.5 0 0 0 0 1 -1\n"[..], 1, "id: expected a whole number"),
            (&b"-2 0 0 0 0 1 -1\n"[..], 1, "id: expected at least 0"),
            (&b"\xff\xfe\n"[..], 1, "expected text"),
            (&long[..], 1, "no skeleton"),
        ] {
            let error = read(text).unwrap_err().to_string();
            let place = format!("7.swc line {line}: ");
            assert!(error.contains(&place) && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_bomb_of_lines_is_refused() {
        let error = read(&vec![b'\n'; MOST_LINES as usize + 1]).unwrap_err().to_string();
        assert!(error.contains("line 4194305: expected at most 4194304 lines"), "{error}");
    }

    #[test]
    fn a_long_chain_is_no_circle() {
        let line = |i: u32| format!("{i} 0 {i} 0 0 1 {}\n", i64::from(i) - 1);
        let text: String = (0..5000).rev().map(line).collect();
        let found = read(text.as_bytes()).unwrap();
        assert_eq!((found.nodes.len(), found.edges.len()), (5000, 4999));
    }
}
