//! What is fetched by a node that lags behind every log, and the logs that are kept short.

use chat_actors::hub::shelf::Out;
use chat_actors::messages::hub::Published;
use chat_actors::messages::transfer::Offer;
use chat_actors::state_fetch::Collected;

use super::bugs::Bug;
use super::disk::StatePage;
use super::host::Fetch;
use super::world::{Event, World};

/// What a source answers.
pub enum Came {
    Page(Box<StatePage>),
    /// It is behind the horizon.
    Behind,
    Nothing,
}

/// Between two pages, and before another source is asked.
const PAGE_US: (u64, u64) = (100, 20_000);
const AGAIN_US: (u64, u64) = (20_000, 200_000);

impl World {
    /// A leader offers state.
    pub fn fetch(&mut self, host: usize, offer: Offer) {
        self.trace(|_| format!("{} is offered {offer:?}", host + 1));
        let at = &mut self.hosts[host];
        let own = at.disk.position();
        let heads: Vec<_> = at.disk.incoming.iter().map(|page| page.header.clone()).collect();
        let maker = self.place_of(offer.from).unwrap_or_default();
        let Some(process) = &mut self.hosts[host].process else { return };
        let fetch = process.fetch.get_or_insert_with(|| Fetch {
            offer,
            collected: Collected::again(heads.into_iter(), &own),
            source: maker,
            asks: false,
        });
        fetch.offer = offer;
        let pages = fetch.collected.pages() as usize;
        self.hosts[host].disk.incoming.truncate(pages);
        self.fetch_goes_on(host, (1, 100));
    }

    pub fn fetch_over(&mut self, host: usize) {
        let at = &mut self.hosts[host];
        at.disk.incoming.clear();
        if let Some(process) = &mut at.process {
            process.fetch = None;
        }
    }

    fn fetch_goes_on(&mut self, host: usize, pause: (u64, u64)) {
        let at = &mut self.hosts[host];
        let life = at.life;
        let Some(process) = &mut at.process else { return };
        let Some(fetch) = process.fetch.as_mut().filter(|fetch| !fetch.asks) else { return };
        if let Some(install) = fetch.collected.install(fetch.offer.index) {
            return self.input(host, |node| {
                node.state_here(install);
            });
        }
        fetch.asks = true;
        self.soon(pause, Event::AskState { host, life });
    }

    /// A page is asked for: the answer is what the source has by now.
    pub fn ask_state(&mut self, host: usize) {
        let Some(fetch) = self.hosts[host].process.as_ref().and_then(|process| process.fetch.as_ref()) else {
            return;
        };
        let (source, after, horizon) = (fetch.source, fetch.collected.after(), fetch.collected.horizon());
        let hears = !self.network.is_cut(host, source) && !self.network.is_cut(source, host);
        let from = &self.hosts[source];
        let lives = from.process.is_some() && from.stalled_until <= self.now && source != host;
        let mut page = (hears && lives).then(|| from.disk.state_page(after, self.knobs.state_page));
        if let Some(page) = &mut page
            && self.bug == Some(Bug::SourceBehindHorizon)
            && !page.header.end
        {
            // As if nobody kept how far a source was.
            page.header.position.at = page.header.up_to;
        }
        let came = match page {
            None => Came::Nothing,
            Some(page) if page.header.position.at < horizon => Came::Behind,
            Some(page) => Came::Page(Box::new(page)),
        };
        let life = self.hosts[host].life;
        self.soon(PAGE_US, Event::StateCame { host, life, came });
    }

    pub fn state_came(&mut self, host: usize, came: Came) {
        let hosts = self.hosts.len();
        let switches = !self.calm && self.dice.per_mille(100);
        let at = &mut self.hosts[host];
        let own = at.disk.position();
        let Some(fetch) = at.process.as_mut().and_then(|process| process.fetch.as_mut()) else { return };
        fetch.asks = false;
        let mut taken = None;
        match came {
            Came::Page(page) if fetch.collected.take(&page.header, &own, fetch.offer.index).is_ok() => {
                taken = Some(*page);
            }
            Came::Behind => fetch.collected.source_behind(own.at),
            Came::Page(_) | Came::Nothing => {}
        }
        let before = fetch.collected.pages() as usize - usize::from(taken.is_some());
        at.disk.incoming.truncate(before);
        let came = taken.is_some();
        at.disk.incoming.extend(taken);
        if !came || switches {
            fetch.source = (fetch.source + 1) % hosts;
        }
        self.fetch_goes_on(host, if came { PAGE_US } else { AGAIN_US });
    }

    /// The tables of a node were replaced: its Hub tells every session to read on.
    pub fn installed(&mut self, host: usize) {
        self.installs += 1;
        let at = self.hosts[host].disk.model.present();
        self.trace(|_| format!("{} installs the state of {at}", host + 1));
        let Some(process) = &mut self.hosts[host].process else { return };
        let mut said: Vec<Out> = Vec::new();
        let news = Published { at, events: [].into(), ended: std::sync::Arc::default(), gap: true };
        process.shelf.publish(&news, &mut said);
        self.pass_on(said);
    }
}
