//! Classic operations on volumes.
