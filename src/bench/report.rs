//! The results, for people and as JSON.

use serde::Serialize;

use super::histogram::Histogram;

/// Everything that a run found out, in the order in which it is printed.
#[derive(Debug, Serialize)]
pub struct Report {
    pub acked_per_second: f64,
    pub ack_ms: Option<Latency>,
    pub delivery_ms: Option<Latency>,
    pub delivered_per_second: f64,
    pub errors: u64,
    pub rss_mb: Vec<f64>,
    pub nodes: usize,
    pub clients: u32,
    pub rooms: u32,
    pub listeners: u32,
    pub bytes: u32,
    pub seconds: u32,
    pub warmup: u32,
    pub fdatasync_per_second: f64,
}

/// Durations in milliseconds.
#[derive(Debug, Serialize, PartialEq)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl Latency {
    /// `None` if nothing was measured.
    pub fn of(histogram: &Histogram) -> Option<Self> {
        let ms = |us: u64| us as f64 / 1000.0;
        (histogram.count() > 0).then(|| Self {
            p50: ms(histogram.quantile_us(0.5)),
            p99: ms(histogram.quantile_us(0.99)),
            max: ms(histogram.max_us()),
        })
    }
}

impl Report {
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("a report is numbers and lists of them")
    }

    /// Lines for people.
    pub fn lines(&self) -> Vec<String> {
        let latency = |latency: &Option<Latency>| match latency {
            Some(Latency { p50, p99, max }) => format!("p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms"),
            None => "nothing to measure".into(),
        };
        let mut lines = vec![
            format!("acknowledged  {:.0}/s, {}", self.acked_per_second, latency(&self.ack_ms)),
            format!("delivered     {:.0}/s, {}", self.delivered_per_second, latency(&self.delivery_ms)),
            format!("errors        {}", self.errors),
        ];
        if !self.rss_mb.is_empty() {
            let memory: Vec<String> = self.rss_mb.iter().map(|mb| format!("{mb:.1}")).collect();
            lines.push(format!("memory        {} MB", memory.join(", ")));
        }
        lines.push(format!(
            "load          {} nodes, {} clients, {} rooms, {} listeners, {} bytes, {} s after {} s",
            self.nodes, self.clients, self.rooms, self.listeners, self.bytes, self.seconds, self.warmup
        ));
        lines.push(format!("disk          {:.0} fdatasync/s", self.fdatasync_per_second));
        lines
    }
}

/// To three decimals: what comes after them is noise.
pub fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_json() {
        let mut ack = Histogram::default();
        ack.record(1500);
        let report = Report {
            acked_per_second: 0.1,
            ack_ms: Latency::of(&ack),
            delivery_ms: Latency::of(&Histogram::default()),
            delivered_per_second: 0.0,
            errors: 0,
            rss_mb: vec![],
            nodes: 3,
            clients: 1,
            rooms: 1,
            listeners: 0,
            bytes: 128,
            seconds: 10,
            warmup: 2,
            fdatasync_per_second: rounded(1000.0004),
        };
        assert_eq!(
            report.json(),
            r#"{"acked_per_second":0.1,"ack_ms":{"p50":1.5,"p99":1.5,"max":1.5},"delivery_ms":null,"delivered_per_second":0.0,"errors":0,"rss_mb":[],"nodes":3,"clients":1,"rooms":1,"listeners":0,"bytes":128,"seconds":10,"warmup":2,"fdatasync_per_second":1000.0}"#
        );
        assert_eq!(report.lines()[1], "delivered     0/s, nothing to measure");
    }
}
