//! `exavox bench` as a user runs it, on inputs so small that only the frame is measured.

use std::fs;

use crate::harness::Folder;

#[test]
fn every_row_is_measured_or_has_a_reason_and_all_agree() {
    let folder = Folder::new();
    let args = ["--json", "--threads", "2", "bench"];
    let more = ["--quick", "--size", "5,5,7", "--csv", "t.csv", "--svg", "t.svg"];
    let table = folder.run(&[&args[..], &more].concat()).json();
    let sections = table["sections"].as_array().unwrap();
    assert_eq!(sections.len(), 1 + 2 + 5 + 3 + 1 + 1);
    let mut rows = 0;
    for section in sections {
        assert!(section["machine"]["read_bytes_per_second_1"].as_f64().unwrap() > 0.0);
        assert_eq!(section["rows"][0]["ratio_to_scalar"], 1.0, "{section}");
        for row in section["rows"].as_array().unwrap() {
            let measured = row["median_seconds"].as_f64().is_some_and(|s| s > 0.0);
            let refused =
                row["reason"].as_str().is_some_and(|r| !r.is_empty() && !r.contains('\n'));
            assert!(measured != refused, "{row}");
            assert_ne!(row["agrees"], false, "{row}");
            rows += 1;
        }
    }
    let csv = fs::read_to_string(folder.join("t.csv")).unwrap();
    assert_eq!(csv.lines().count(), rows + 1);
    assert!(
        csv.starts_with("group,case,shape_z") && csv.contains("projection,max-z,5,5,7,scalar,1")
    );
    let svg = fs::read_to_string(folder.join("t.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("scalar, 1 thread"), "{svg}");
}

#[test]
fn wrong_use_ends_with_2_and_a_missing_peer_is_a_row() {
    let folder = Folder::new();
    let error = folder.run(&["--quiet", "bench", "tomography"]).error();
    assert!(error.contains("tomography") && error.contains("projection"), "{error}");
    let error = folder.run(&["--quiet", "bench", "components/smooth"]).error();
    assert!(error.contains("case 'smooth'") && error.contains("labels-26"), "{error}");
    let error = folder.run(&["--quiet", "bench", "ffn", "--size", "4,5,5"]).error();
    assert!(error.contains("FOV along z") && error.contains("odd"), "{error}");
    let args = ["--quiet", "bench", "components/labels-6", "--size", "3,4,5", "--quick"];
    let peers = [&args[..], &["--peers", "no-such-python"]].concat();
    let error = folder.run(&peers).error();
    assert!(error.contains("benches/peers/compute.py: no such file"), "{error}");
    fs::write(folder.join("peers.py"), "").unwrap();
    let run = folder.run(&[&peers[..], &["--peers-script", "peers.py"]].concat()).done();
    assert!(run.stdout.contains("no-such-python"), "{run:?}");
    let error = folder.run(&[&args[..], &["--csv", "nowhere/t.csv"]].concat()).error();
    assert!(error.contains("nowhere/t.csv: no such folder: nowhere"), "{error}");
}
