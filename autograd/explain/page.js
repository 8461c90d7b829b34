// page.js: from step to step. Without it the page is a document to scroll.
(() => {
  'use strict';
  const all = (s, e = document) => Array.from(e.querySelectorAll(s));
  const by = id => document.getElementById(id);
  const html = document.documentElement, panel = document.querySelector('.panel');
  const stops = all('.stop'), views = all('.view'), steps = all('.step').length;
  let at = 0, jumped = 0;

  html.classList.add('js');
  document.querySelector('h1').after(by('tally'));
  all('.step').filter(s => s.querySelector('.badge.wrong')).forEach(s =>
    all(`.box[data-ids~="${s.dataset.node}"]`).forEach(b => b.classList.add('wrong')));

  // The graph: the box of the step and the arrows that its gradients pass.
  function paint() {
    all('.graph .on').forEach(e => e.classList.remove('on'));
    const node = stops[at].dataset.node;
    views.forEach(v => all(`.box[data-ids~="${node}"]`, v).forEach(box =>
      [box, ...all(`.arrow:not(.data)[data-to="${box.dataset.box}"]`, v)].forEach(e => e.classList.add('on'))));
    const box = document.querySelector('.view[open] .box.on');
    if (!box) return;
    const b = box.getBoundingClientRect(), p = panel.getBoundingClientRect();
    if (b.left < p.left || b.right > p.right)
      panel.scrollLeft += b.left + b.width / 2 - p.left - p.width / 2;
    if (b.top < p.top || b.bottom > p.bottom)
      panel.scrollTop += b.top + b.height / 2 - p.top - p.height / 2;
  }

  function show(view) {
    views.forEach(v => v.open = v === view);
    all('.tabs button').forEach(b => b.setAttribute('aria-pressed', b.dataset.view === view.id));
    paint();
  }

  // The view in which only the scope of this step is unfolded.
  function unfold() {
    const box = document.querySelector(`.box.scope[data-ids~="${stops[at].dataset.node}"]`);
    if (box) show(by(box.getAttribute('href').slice(1)));
  }

  function arrive(i) {
    const one = /^g[1-9]/.test((document.querySelector('.view[open]') || {}).id) && views.length > 1;
    at = i;
    stops.forEach((s, k) => {
      s.classList.toggle('now', k === i);
      k === i ? s.setAttribute('aria-current', 'step') : s.removeAttribute('aria-current');
    });
    const n = i === 0 ? 'forward' : i > steps ? 'gradients' : `step ${i} of ${steps}`;
    const title = stops[i].querySelector('h3 b'), badge = stops[i].querySelector('h3 .badge');
    by('where').textContent = n;
    by('live').textContent = [n, title, badge].map(e => e ? e.textContent || e : '').join(' ');
    by('back').disabled = i === 0;
    by('next').disabled = i === stops.length - 1;
    if (one && !views[views.length - 1].open) unfold();
    paint();
  }

  function scroll(e) {
    jumped = performance.now();
    e.scrollIntoView({block: e.matches('li') ? 'center' : 'start'});
  }

  function step(i) {
    arrive(Math.max(0, Math.min(stops.length - 1, i)));
    history.replaceState(null, '', '#' + stops[at].id);
    scroll(stops[at]);
  }

  function visit(id) {
    const e = by(id), stop = e && e.closest('.stop');
    all('.here').forEach(h => h.classList.remove('here'));
    if (!e) return;
    if (e.matches('.view')) return show(e);
    if (stop) arrive(stops.indexOf(stop));
    if (e !== stop && e.matches('li')) e.classList.add('here');
    scroll(e);
    if (stop) stop.focus({preventScroll: true});
  }

  // A gradient leads to the step it enters, everything else to where it stands.
  document.addEventListener('click', event => {
    const a = event.target.closest('a[href^="#"]');
    if (!a || event.ctrlKey || event.metaKey || event.shiftKey) return;
    let id = a.getAttribute('href').slice(1);
    const treats = a.matches('.bar') && stops.findIndex(s => s.dataset.node === id.slice(1));
    if (treats > 0) id = stops[treats].id;
    event.preventDefault();
    if (!by(id).matches('.view')) history.pushState(null, '', '#' + id);
    visit(id);
  });
  addEventListener('popstate', () => visit(location.hash.slice(1)));
  all('.tabs button').forEach(b => b.addEventListener('click', () => show(by(b.dataset.view))));

  function mode() {
    by('mode').setAttribute('aria-pressed', html.classList.toggle('one'));
    scroll(stops[at]);
  }
  by('back').addEventListener('click', () => step(at - 1));
  by('next').addEventListener('click', () => step(at + 1));
  by('mode').addEventListener('click', mode);

  const keys = {
    ArrowRight: () => step(at + 1), j: () => step(at + 1), ArrowLeft: () => step(at - 1), k: () => step(at - 1),
    Home: () => step(0), End: () => step(stops.length - 1), o: mode, u: unfold, f: () => show(views[0]),
    e: () => show(views[views.length - 1]), '?': () => by('help').open = !by('help').open,
  };
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const wide = event.target.closest('.scroll'), space = event.key === ' ' && html.classList.contains('one');
    if (wide && wide.scrollWidth > wide.clientWidth && event.key.startsWith('Arrow')) return;
    const act = space && !event.target.closest('button, summary, a')
      ? () => step(at + (event.shiftKey ? -1 : 1)) : keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  // Who scrolls by hand takes the mark along.
  const eye = new IntersectionObserver(seen => {
    const now = seen.filter(s => s.isIntersecting).pop();
    if (!now || html.classList.contains('one') || performance.now() - jumped < 400) return;
    arrive(stops.indexOf(now.target));
    history.replaceState(null, '', '#' + stops[at].id);
  }, {rootMargin: '-25% 0px -74% 0px'});
  stops.forEach(s => eye.observe(s));

  new ResizeObserver(() => html.style.setProperty('--head', document.querySelector('header').offsetHeight + 'px'))
    .observe(document.querySelector('header'));
  arrive(0);
  if (views.length) show(views[0]);
  if (location.hash) visit(location.hash.slice(1));
  else if (matchMedia('(max-width: 820px)').matches) panel.open = false;
})();
