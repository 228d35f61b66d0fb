//! Extents and attributes, as one writes them: `n=2,h=8,w=8,c=16,k=32`.

use std::fmt;
use std::str::FromStr;

/// Numbers by name: an axis (one letter), or an attribute of an operation (`window`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape(Vec<(String, f64)>);

impl Shape {
    /// The number called `name`, if it is there.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| known == name).map(|&(_, value)| value)
    }

    /// Adds a number, or changes it.
    pub fn set(&mut self, name: &str, value: f64) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.into(), value)),
        }
    }

    /// Names and numbers, in the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Shape, String> {
        let mut shape = Shape::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) =
                part.split_once('=').ok_or_else(|| format!("`{part}` is no NAME=NUMBER, such as n=2"))?;
            let (name, value) = (name.trim().to_lowercase(), value.trim());
            let number: f64 = value.parse().map_err(|_| format!("{name} is `{value}`, expected a number"))?;
            let is_axis = name.chars().count() == 1;
            if is_axis && (number < 1.0 || number > f64::from(1 << 20) || number.fract() != 0.0) {
                return Err(format!("{name} is {value}, expected a whole number from 1 to {}", 1 << 20));
            }
            if shape.get(&name).is_some() {
                return Err(format!("{name} is given twice"));
            }
            shape.set(&name, number);
        }
        Ok(shape)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.iter().map(|(name, value)| format!("{name}={value}")).collect();
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let shape: Shape = "N=2, h=8,eps=0.5".parse().unwrap();
        assert_eq!(shape.to_string(), "n=2,h=8,eps=0.5");
        assert_eq!(shape.to_string().parse::<Shape>().unwrap(), shape);
        assert_eq!((shape.get("h"), shape.get("w")), (Some(8.0), None));
    }

    #[test]
    fn rejects_what_is_no_extent() {
        for text in ["n", "n=", "n=x", "n=0", "n=-1", "n=1.5", "n=1e9", "n=NaN", "n=2,n=3"] {
            assert!(text.parse::<Shape>().is_err(), "{text}");
        }
    }
}
