"""Tables that exavox writes as Parquet against the same as CSV, and one that pyarrow writes.

    python table_peers.py pairs TABLE.csv TABLE.parquet
    python table_peers.py endpoints TABLE.parquet
"""

import csv
import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq

WHOLE, NUMBER, FLAG, TEXT = pa.uint64(), pa.float64(), pa.bool_(), pa.string()
FLAGS = {"merged", "recovered_a", "recovered_b"}
IN_NM = {"distance", "max_edt_a", "max_edt_b", "max_edt_run_a", "max_edt_run_b"}
WHOLE_COLUMNS = {
    "id_a", "id_b", "z", "y", "x", "voxels_a", "voxels_b", "attempts_a", "attempts_b", "steps",
}


def expected_type(name):
    if name in WHOLE_COLUMNS:
        return WHOLE
    if name in FLAGS:
        return FLAG
    return TEXT if name == "reason" else NUMBER


def same(name, cell, value):
    """Whether a cell of the CSV is what the Parquet file has; the CSV has fewer decimals."""
    if cell == "" or value is None:
        return cell == "" and value is None
    if name in FLAGS:
        return cell == ("yes" if value else "no")
    if name in WHOLE_COLUMNS or name == "reason":
        return cell == str(value)
    decimals = len(cell.partition(".")[2])
    return abs(float(cell) - value) <= 0.51 * 10.0**-decimals


def pairs(csv_path, parquet_path):
    table = pq.read_table(parquet_path)
    with open(csv_path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert table.column_names == list(rows[0]), table.column_names
    for field in table.schema:
        assert field.type == expected_type(field.name), field
    units = json.loads(table.schema.metadata[b"units"])
    assert {name for name, unit in units.items() if unit == "nm"} == IN_NM & set(units), units
    assert units["distance"] == "nm" and units["z"] == "voxels", units
    assert pq.ParquetFile(parquet_path).metadata.row_group(0).column(0).compression == "ZSTD"
    for row, found in zip(rows, table.to_pylist(), strict=True):
        for name, cell in row.items():
            assert same(name, cell, found[name]), (name, cell, found[name])
    print(len(rows), "rows")


def endpoints(path):
    columns = {
        "x": pa.array([3, 6], pa.int32()),
        "y": pa.array([2, 5], pa.uint8()),
        "z": pa.array([1.0, 4.0], pa.float64()),
        "id_a": pa.array([5, 1 << 40], pa.uint64()),
        "id_b": pa.array([float("nan"), 0.0], pa.float64()),
        "note": pa.array(["a", None], pa.string()),
    }
    pq.write_table(pa.table(columns), path, compression="snappy")
    print("written")


if __name__ == "__main__":
    {"pairs": pairs, "endpoints": endpoints}[sys.argv[1]](*sys.argv[2:])
