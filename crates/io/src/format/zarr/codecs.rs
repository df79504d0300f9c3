//! Zstandard, gzip and Blosc that decode into no more than a chunk's known size.
//!
//! The decoders of `zarrs` allocate what the compressed data claims, so that a few bytes can take all
//! memory. These replace them in the registry of `zarrs`; valid chunks decode as before.

use std::any::Any;
use std::borrow::Cow;
use std::io::Read;
use std::sync::{Arc, Once};

use zarrs::array::codec::api::{
    BytesToBytesCodecTraits, Codec, CodecError, CodecMetadataOptions, CodecOptions,
    CodecRuntimePluginV2, CodecRuntimePluginV3, CodecTraits, CodecTraitsV2, CodecTraitsV3,
    PartialDecoderCapability, PartialEncoderCapability, RecommendedConcurrency, register_codec_v2,
    register_codec_v3,
};
use zarrs::array::codec::{
    BloscCodec, GzipCodec, ZstdCodec, blosc_decompress_bytes, blosc_validate,
};
use zarrs::array::{ArrayBytesRaw, BytesRepresentation};
use zarrs::metadata::Configuration;
use zarrs::plugin::{ExtensionName, PluginCreateError, ZarrVersion};

/// Decodes `data` into at most `limit` bytes.
type Decode = fn(data: &[u8], limit: usize) -> std::io::Result<Vec<u8>>;

/// Puts the bounded codecs in place of those of `zarrs`, once per process.
pub(super) fn register() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        register_one::<ZstdCodec>("zstd", decode_zstd);
        register_one::<GzipCodec>("gzip", decode_gzip);
        register_one::<BloscCodec>("blosc", decode_blosc);
    });
}

fn register_one<C: CodecTraitsV2 + CodecTraitsV3>(name: &'static str, decode: Decode) {
    register_codec_v2(CodecRuntimePluginV2::new(
        move |id| id == name,
        move |metadata| Bounded::around(<C as CodecTraitsV2>::create(metadata)?, decode),
    ));
    register_codec_v3(CodecRuntimePluginV3::new(
        move |id| id == name,
        move |metadata| Bounded::around(<C as CodecTraitsV3>::create(metadata)?, decode),
    ));
}

fn decode_zstd(data: &[u8], limit: usize) -> std::io::Result<Vec<u8>> {
    zstd::bulk::decompress(data, limit)
}

fn decode_gzip(data: &[u8], limit: usize) -> std::io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    // One byte more than expected, so that too long a stream is noticed.
    let mut decoder = flate2::read::GzDecoder::new(data).take(limit as u64 + 1);
    decoder.read_to_end(&mut decoded)?;
    Ok(decoded)
}

fn decode_blosc(data: &[u8], limit: usize) -> std::io::Result<Vec<u8>> {
    let claimed = blosc_validate(data).filter(|claimed| *claimed <= limit);
    let claimed = claimed.ok_or_else(|| {
        std::io::Error::other(format!("blosc: not a buffer of at most {limit} bytes"))
    })?;
    blosc_decompress_bytes(data, claimed, 1).map_err(|e| std::io::Error::other(e.to_string()))
}

/// A codec that encodes as `inner` does and decodes within the known size.
#[derive(Debug)]
struct Bounded {
    inner: Arc<dyn BytesToBytesCodecTraits>,
    decode: Decode,
}

impl Bounded {
    fn around(codec: Codec, decode: Decode) -> Result<Codec, PluginCreateError> {
        Ok(match codec {
            Codec::BytesToBytes(inner) => Codec::BytesToBytes(Arc::new(Self { inner, decode })),
            other => other,
        })
    }
}

impl ExtensionName for Bounded {
    fn name(&self, version: ZarrVersion) -> Option<Cow<'static, str>> {
        self.inner.name(version)
    }
}

impl CodecTraits for Bounded {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn configuration(
        &self,
        version: ZarrVersion,
        options: &CodecMetadataOptions,
    ) -> Option<Configuration> {
        self.inner.configuration(version, options)
    }

    fn partial_decoder_capability(&self) -> PartialDecoderCapability {
        self.inner.partial_decoder_capability()
    }

    fn partial_encoder_capability(&self) -> PartialEncoderCapability {
        self.inner.partial_encoder_capability()
    }
}

impl BytesToBytesCodecTraits for Bounded {
    fn into_dyn(self: Arc<Self>) -> Arc<dyn BytesToBytesCodecTraits> {
        self
    }

    fn recommended_concurrency(
        &self,
        decoded: &BytesRepresentation,
    ) -> Result<RecommendedConcurrency, CodecError> {
        self.inner.recommended_concurrency(decoded)
    }

    fn encoded_representation(&self, decoded: &BytesRepresentation) -> BytesRepresentation {
        self.inner.encoded_representation(decoded)
    }

    fn encode<'a>(
        &self,
        decoded: ArrayBytesRaw<'a>,
        options: &CodecOptions,
    ) -> Result<ArrayBytesRaw<'a>, CodecError> {
        self.inner.encode(decoded, options)
    }

    fn decode<'a>(
        &self,
        encoded: ArrayBytesRaw<'a>,
        decoded: &BytesRepresentation,
        options: &CodecOptions,
    ) -> Result<ArrayBytesRaw<'a>, CodecError> {
        let Some(limit) = decoded.size().and_then(|size| usize::try_from(size).ok()) else {
            return self.inner.decode(encoded, decoded, options);
        };
        let values = (self.decode)(&encoded, limit)?;
        let wrong_size = match decoded {
            BytesRepresentation::FixedSize(_) => values.len() != limit,
            _ => values.len() > limit,
        };
        if wrong_size {
            let found = values.len();
            return Err(CodecError::Other(format!("decoded to {found} bytes, expected {limit}")));
        }
        Ok(Cow::Owned(values))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A frame header that claims 2^60 bytes of content.
    const BOMB: [u8; 16] =
        [0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x01, 0x00, 0x00];

    #[test]
    fn a_frame_that_claims_an_exbibyte_is_refused() {
        assert!(decode_zstd(&BOMB, 1 << 16).is_err());
    }

    #[test]
    fn a_blosc_buffer_that_claims_gigabytes_is_refused() {
        // Version 2, LZ4, type size 1; bytes decoded, of a block, and encoded.
        let mut bomb = vec![2, 1, 1, 1];
        for size in [0x7fff_0000_u32, 0x7fff_0000, 32] {
            bomb.extend(size.to_le_bytes());
        }
        bomb.resize(32, 0);
        assert!(decode_blosc(&bomb, 1 << 16).is_err());
    }

    #[test]
    fn more_than_the_chunk_is_not_decoded() {
        let million = vec![0u8; 1 << 20];
        let zstd = zstd::bulk::compress(&million, 3).unwrap();
        assert!(decode_zstd(&zstd, 1 << 10).is_err());
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, &million).unwrap();
        assert_eq!(decode_gzip(&gzip.finish().unwrap(), 1 << 10).unwrap().len(), (1 << 10) + 1);
    }
}
