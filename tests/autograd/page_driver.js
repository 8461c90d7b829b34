// page_driver.js: what test_page.sh runs in the page: keys and clicks, and what must come of them. The title says
// how many checks passed, or what failed.
(() => {
  let checks = 0;
  const check = (ok, what) => { checks++; if (!ok) failures.push(what); };
  const key = (k, more) => document.body.dispatchEvent(new KeyboardEvent('keydown', {key: k, bubbles: true, ...more}));
  const click = e => e.dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}));
  const one = s => document.querySelector(s), all = s => [...document.querySelectorAll(s)];
  const steps = all('.step').length;

  // The step is in the address, in the list, in the head, in the words for those who listen, and in the graph.
  function at(id, words) {
    const marked = all('.now'), node = one('#' + id).dataset.node;
    check(location.hash === '#' + id, `address ${location.hash}, not ${id}`);
    check(marked.length === 1 && marked[0].id === id, `marked ${marked.map(e => e.id)}, not ${id}`);
    check(all('[aria-current=step]').length === 1 && one('#' + id).getAttribute('aria-current') === 'step', `${id} is not current`);
    check(one('#where').textContent === words, `the head says ${one('#where').textContent}, not ${words}`);
    check(one('#live').textContent.startsWith(words), `the live region says ${one('#live').textContent}`);
    const on = all('.view[open] .box.on');
    if (node)
      check(on.length === 1 && on[0].dataset.ids.split(' ').includes(node), `${id}: not in the graph`);
    else
      check(on.length === 0, `${id}: something is marked in the graph`);
  }
  const view = () => all('.view').filter(v => v.open).map(v => v.id).join();

  if (location.hash) { // opened by a link to a step
    at('s7', `step 7 of ${steps}`);
    check(Math.abs(one('#s7').getBoundingClientRect().top) < 200, 'step 7 is not in sight');
  } else {
    check(view() === 'g0', 'the graph is not folded at first');
    check(one('header .tally') !== null, 'the tally is not in the head');
    key('ArrowRight'), at('s1', `step 1 of ${steps}`);
    key('j'), at('s2', `step 2 of ${steps}`);
    key('ArrowLeft'), at('s1', `step 1 of ${steps}`);
    key('k'), at('forward', 'forward');
    key('k'), at('forward', 'forward');
    check(one('#back').disabled && !one('#next').disabled, 'one can go back from the start');
    key('End'), at('gradients', 'gradients');
    check(one('#next').disabled, 'one can go on from the end');
    key('Home'), at('forward', 'forward');
    key('j', {ctrlKey: true}), at('forward', 'forward');
    click(one('#next')), at('s1', `step 1 of ${steps}`);

    // A node leads to its step, a scope to its inside and back.
    const z = one('#g0 .box[data-ids="8"]');
    click(z.querySelector('text')), at(z.getAttribute('href').slice(1), `step ${z.getAttribute('href').slice(2)} of ${steps}`);
    click(one('#g0 .box.data')), check(location.hash === '#n1' && one('#n1').matches('.here'), 'x does not lead to its place');
    const scope = one('#g0 .box.scope');
    click(scope), check('#' + view() === scope.getAttribute('href'), 'the scope does not unfold');
    key('f'), check(view() === 'g0', 'the graph does not fold');
    click(one('.tabs [data-view=g2]')), check(view() === 'g2' && one('[data-view=g2]').getAttribute('aria-pressed') === 'true', 'the tab does not open');
    key('e'), check(view() === 'g3', 'not everything unfolds');
    key('f');

    // A gradient leads to its step, a value to its place; the view follows an unfolded scope.
    click(one('#s1 .bar[href="#n13"]')), at('s4', `step 4 of ${steps}`);
    key('u'), check(view() === 'g2', 'the scope of the step does not unfold');
    const h = one('.step[data-node="6"]');
    click(one('a.bar[href="#n6"]')), at(h.id, `step ${h.id.slice(1)} of ${steps}`);
    check(view() === 'g1', 'the view does not follow');
    click(h.querySelector('.v:not(.bar)')), check(one('.here').id === 'n6' && location.hash === '#n6', 'a value does not lead to its place');

    // One at a time.
    const seen = () => all('.stop').filter(e => e.offsetParent !== null).map(e => e.id).join();
    key('Home'), key('j'), key('o');
    check(seen() === 's1' && one('#mode').getAttribute('aria-pressed') === 'true', `one at a time shows ${seen()}`);
    key(' '), check(seen() === 's2', 'Space does not go on');
    key(' ', {shiftKey: true}), check(seen() === 's1', 'Space does not go back');
    click(one('#mode')), check(all('.stop').length === seen().split(',').length, 'not all are back');
    key('?'), check(one('#help').open, 'no help');
  }
  document.title = failures.length ? 'FAILED: ' + failures.join('; ') : `${checks} checks of the page`;
})();
