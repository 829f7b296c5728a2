//! Four equations with four unknowns.

/// What `matrix` has to be multiplied with to come to `right`: Gauss's elimination with the largest
/// pivot of each column. `None` if the equations do not tell.
pub(crate) fn linear<const N: usize>(
    mut matrix: [[f64; N]; N],
    mut right: [f64; N],
) -> Option<[f64; N]> {
    for column in 0..N {
        let size = |row: &usize| {
            matrix
                .get(*row)
                .and_then(|row| row.get(column))
                .map(|x| x.abs())
        };
        let pivot =
            (column..N).max_by(|a, b| size(a).unwrap_or(0.0).total_cmp(&size(b).unwrap_or(0.0)))?;
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        let (line, value) = (*matrix.get(column)?, *right.get(column)?);
        let head = *line.get(column)?;
        if head.is_nan() || head.abs() < 1e-9 {
            return None;
        }
        for (row, right) in matrix.iter_mut().zip(&mut right).skip(column + 1) {
            let times = row.get(column)? / head;
            for (cell, above) in row.iter_mut().zip(line) {
                *cell -= times * above;
            }
            *right -= times * value;
        }
    }
    let mut found = [0.0; N];
    for row in (0..N).rev() {
        let line = matrix.get(row)?;
        let known: f64 = line
            .iter()
            .zip(found)
            .map(|(cell, found)| cell * found)
            .sum();
        *found.get_mut(row)? = (right.get(row)? - known) / line.get(row)?;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_swapped_where_they_must() {
        let found = linear([[0.0, 2.0], [4.0, 1.0]], [6.0, 11.0]);
        assert_eq!(found, Some([2.0, 3.0]));
    }

    #[test]
    fn equations_that_say_the_same() {
        assert_eq!(linear([[1.0, 2.0], [2.0, 4.0]], [1.0, 2.0]), None);
    }
}
