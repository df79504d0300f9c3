//! Metadata documents of a new OME-Zarr group with one scale.

use serde_json::{Map, Value, json};

use crate::dtype::DataType;
use crate::geometry::Axis;
use crate::volume::{Codec, OmeVersion, WriteOptions};

use super::axes::StoredAxes;

/// Key of our attributes in the group.
const ATTRIBUTES_KEY: &str = "exavox";

/// An array to be created; shapes in stored axes.
pub(super) struct Template<'a> {
    pub(super) options: &'a WriteOptions,
    pub(super) axes: StoredAxes,
    pub(super) shape: Vec<u64>,
    pub(super) chunk_shape: Vec<u64>,
    pub(super) shard_shape: Option<Vec<u64>>,
}

impl Template<'_> {
    /// The group's documents: file name and content.
    pub(super) fn group(&self, name: &str) -> Vec<(&'static str, Value)> {
        match self.options.ome {
            OmeVersion::V04 => {
                let mut attributes = self.ome(name);
                self.add_own(&mut attributes);
                vec![(".zgroup", json!({ "zarr_format": 2 })), (".zattrs", attributes.into())]
            }
            OmeVersion::V05 => {
                let mut attributes = Map::new();
                attributes.insert("ome".to_owned(), self.ome(name).into());
                self.add_own(&mut attributes);
                let group =
                    json!({ "zarr_format": 3, "node_type": "group", "attributes": attributes });
                vec![("zarr.json", group)]
            }
        }
    }

    /// The array's document: file name and content.
    pub(super) fn array(&self) -> (&'static str, Value) {
        match self.options.ome {
            OmeVersion::V04 => (".zarray", self.array_v2()),
            OmeVersion::V05 => ("zarr.json", self.array_v3()),
        }
    }

    fn array_v2(&self) -> Value {
        let dtype = self.options.dtype;
        let order = if dtype.size() == 1 { '|' } else { '<' };
        let compressor = match self.options.codec {
            Codec::Raw => Value::Null,
            Codec::Zstd(level) => json!({ "id": "zstd", "level": level }),
            Codec::Gzip(level) => json!({ "id": "gzip", "level": level }),
            Codec::Blosc(level) => json!({
                "id": "blosc", "cname": "lz4", "clevel": level, "shuffle": 1, "blocksize": 0,
            }),
        };
        json!({
            "zarr_format": 2,
            "shape": self.shape,
            "chunks": self.chunk_shape,
            "dtype": format!("{order}{}{}", dtype.kind(), dtype.size()),
            "compressor": compressor,
            "fill_value": fill_value(dtype),
            "order": "C",
            // Neuroglancer reads arrays without filters only.
            "filters": null,
            "dimension_separator": "/",
        })
    }

    fn array_v3(&self) -> Value {
        let dtype = self.options.dtype;
        let mut codecs = match dtype.size() {
            1 => vec![json!({ "name": "bytes" })],
            _ => vec![json!({ "name": "bytes", "configuration": { "endian": "little" } })],
        };
        match self.options.codec {
            Codec::Raw => {}
            Codec::Zstd(level) => codecs.push(
                json!({ "name": "zstd", "configuration": { "level": level, "checksum": false } }),
            ),
            Codec::Gzip(level) => {
                codecs.push(json!({ "name": "gzip", "configuration": { "level": level } }));
            }
            Codec::Blosc(level) => {
                let configuration = json!({
                    "cname": "lz4", "clevel": level, "shuffle": "shuffle",
                    "typesize": dtype.size(), "blocksize": 0,
                });
                codecs.push(json!({ "name": "blosc", "configuration": configuration }));
            }
        }
        let names: Vec<&str> = self.axes.axes().iter().map(|axis| axis.name()).collect();
        let grid_shape = self.shard_shape.as_ref().unwrap_or(&self.chunk_shape);
        let codecs = match self.shard_shape {
            Some(_) => vec![self.sharding(&codecs)],
            None => codecs,
        };
        json!({
            "zarr_format": 3,
            "node_type": "array",
            "shape": self.shape,
            "data_type": dtype.name(),
            "chunk_grid": { "name": "regular", "configuration": { "chunk_shape": grid_shape } },
            "chunk_key_encoding": { "name": "default", "configuration": { "separator": "/" } },
            "fill_value": fill_value(dtype),
            "codecs": codecs,
            "attributes": {},
            "dimension_names": names,
        })
    }

    fn sharding(&self, codecs: &[Value]) -> Value {
        let index = json!([
            { "name": "bytes", "configuration": { "endian": "little" } },
            { "name": "crc32c" },
        ]);
        json!({
            "name": "sharding_indexed",
            "configuration": {
                "chunk_shape": self.chunk_shape,
                "codecs": codecs,
                "index_codecs": index,
                "index_location": "end",
            },
        })
    }

    fn ome(&self, name: &str) -> Map<String, Value> {
        let axes: Vec<Value> = self.axes.axes().iter().map(|axis| self.axis(*axis)).collect();
        let scale: Vec<f64> = self.axes.axes().iter().map(|axis| self.scale(*axis)).collect();
        let mut multiscale = json!({
            "name": name,
            "axes": axes,
            "datasets": [{
                "path": "0",
                "coordinateTransformations": [{ "type": "scale", "scale": scale }],
            }],
        });
        let mut ome = Map::new();
        match self.options.ome {
            OmeVersion::V04 => multiscale["version"] = "0.4".into(),
            OmeVersion::V05 => _ = ome.insert("version".to_owned(), "0.5".into()),
        }
        ome.insert("multiscales".to_owned(), json!([multiscale]));
        if self.options.channels != ["0"] {
            ome.insert("omero".to_owned(), self.omero());
        }
        ome
    }

    fn axis(&self, axis: Axis) -> Value {
        match (axis, self.options.voxel_size) {
            (Axis::C, _) => json!({ "name": "c", "type": "channel" }),
            (Axis::T, _) => json!({ "name": "t", "type": "time" }),
            (_, Some(_)) => json!({ "name": axis.name(), "type": "space", "unit": "nanometer" }),
            (_, None) => json!({ "name": axis.name(), "type": "space" }),
        }
    }

    fn scale(&self, axis: Axis) -> f64 {
        let size = axis.zyx_index().zip(self.options.voxel_size);
        size.map_or(1.0, |(a, size)| size.nm_zyx[a])
    }

    fn omero(&self) -> Value {
        let (min, max) = display_range(self.options.dtype);
        // OME-Zarr 0.4 wants a colour and a window of each channel.
        let window = json!({ "start": min, "min": min, "max": max, "end": max });
        let channel = |label: &String| json!({ "label": label, "color": "FFFFFF", "active": true, "window": window });
        json!({ "channels": self.options.channels.iter().map(channel).collect::<Vec<_>>() })
    }

    fn add_own(&self, attributes: &mut Map<String, Value>) {
        if !self.options.attributes.is_empty() {
            attributes.insert(ATTRIBUTES_KEY.to_owned(), json!(self.options.attributes));
        }
    }
}

fn fill_value(dtype: DataType) -> Value {
    if dtype.kind() == 'f' { json!(0.0) } else { json!(0) }
}

fn display_range(dtype: DataType) -> (f64, f64) {
    let bits = 8 * dtype.size() as i32;
    match dtype.kind() {
        'u' => (0.0, 2f64.powi(bits) - 1.0),
        'i' => (-(2f64.powi(bits - 1)), 2f64.powi(bits - 1) - 1.0),
        _ => (0.0, 1.0),
    }
}
