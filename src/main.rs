mod edge;
mod founding;

fn main() {}
