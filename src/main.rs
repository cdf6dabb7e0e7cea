mod edge;

fn main() {}
