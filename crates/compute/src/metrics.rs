//! Quality of a segmentation against a ground truth.
