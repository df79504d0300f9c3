//! All filters, as users call them: threads, empty and flat shapes.

use exavox_compute::ops::distance_transform::DistanceOptions;
use exavox_compute::ops::filter::{
    Boundary, ClaheOptions, Dimensions, Filter, Gradient, Normalization,
};
use exavox_io::{Axis, DataType, Voxels, match_dtype};

fn filters() -> Vec<Filter> {
    let boundary = Boundary::Reflect;
    let mut three = ClaheOptions::default();
    three.dimensions = Dimensions::Three;
    vec![
        Filter::Gaussian { sigma_zyx: [0.7, 2.0, 9.0], boundary },
        Filter::Median { radius_zyx: [1; 3], boundary },
        Filter::Median { radius_zyx: [3, 4, 5], boundary },
        Filter::Sobel(Gradient::Magnitude),
        Filter::Sobel(Gradient::Along(Axis::Y)),
        Filter::Clahe(ClaheOptions::default()),
        Filter::Clahe(three),
        Filter::Normalize(Normalization::MeanStd),
        Filter::Normalize(Normalization::Percentiles { low: 3.0, high: 97.0 }),
        Filter::Distance(DistanceOptions::default()),
    ]
}

fn voxels(dtype: DataType, shape: [usize; 3]) -> Voxels {
    let hash = |i: usize| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57) % 50;
    let count = shape.iter().product::<usize>();
    match_dtype!(dtype, T => {
        Voxels::from_vec(shape, (0..count).map(|i| hash(i) as T).collect::<Vec<T>>()).unwrap()
    })
}

#[test]
fn the_number_of_threads_changes_no_filter() {
    for filter in filters() {
        let voxels = voxels(DataType::U16, [17, 33, 150]);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| filter.run(&voxels).unwrap())
        };
        let one = run(1);
        assert!(one == run(2) && one == run(5), "{filter:?}");
    }
}

#[test]
fn every_filter_takes_every_type_and_flat_and_empty_shapes() {
    for filter in filters() {
        for dtype in DataType::ALL {
            for shape in
                [[0, 3, 4], [3, 0, 4], [3, 4, 0], [1, 1, 1], [5, 1, 1], [1, 5, 1], [2, 1, 40]]
            {
                let input = voxels(dtype, shape);
                match filter.run(&input) {
                    Ok(found) => {
                        assert_eq!(found.shape(), shape, "{filter:?} of {dtype}");
                        assert_eq!(found.dtype(), filter.output_dtype(dtype));
                    }
                    Err(error) => {
                        let refused = matches!(filter, Filter::Distance(_)) && dtype.kind() == 'f';
                        assert!(refused, "{filter:?} of {dtype} {shape:?}: {error}");
                    }
                }
            }
        }
    }
}
