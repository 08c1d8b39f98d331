// What is nicer with a script: keys in the list, choosing all. Everything works without it.
"use strict";

(() => {
  const bulk = document.getElementById("bulk");
  if (!bulk) return;
  const rows = [...bulk.querySelectorAll("tr.row")];
  const boxes = [...bulk.querySelectorAll("input[name=id]")];
  const all = document.getElementById("all");
  const chosen = document.getElementById("chosen");
  const keys = document.getElementById("keys");
  let here = -1;

  const count = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    if (chosen) chosen.textContent = ticked ? `(${ticked})` : "";
    all.checked = ticked > 0 && ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
  };
  const boxOf = (row) => row && row.querySelector("input[name=id]");
  const go = (place) => {
    if (rows[here]) rows[here].classList.remove("here");
    here = Math.min(Math.max(place, 0), rows.length - 1);
    rows[here].classList.add("here");
    rows[here].querySelector("a").focus();
    rows[here].scrollIntoView({ block: "nearest" });
  };
  const toggle = () => {
    const box = boxOf(rows[here]);
    if (box) box.checked = !box.checked;
    count();
  };
  const release = () => {
    const button = bulk.querySelector("button[value=release-none]");
    if (!button) return;
    const box = boxOf(rows[here]);
    if (box && !boxes.some((one) => one.checked)) box.checked = true;
    if (boxes.some((one) => one.checked)) button.click();
  };
  const actions = {
    j: () => go(here + 1),
    k: () => go(here < 0 ? 0 : here - 1),
    o: () => rows[here] && rows[here].querySelector("a").click(),
    x: toggle,
    r: release,
    "/": () => document.getElementById("f-q").focus(),
    "?": () => keys.showModal(),
  };

  bulk.addEventListener("change", count);
  rows.forEach((row, place) => row.addEventListener("focusin", () => {
    if (rows[here]) rows[here].classList.remove("here");
    here = place;
    row.classList.add("here");
  }));
  if (boxes.length) {
    all.hidden = false;
    all.addEventListener("change", (event) => {
      event.stopPropagation();
      boxes.forEach((box) => { box.checked = all.checked; });
      count();
    });
  }
  document.querySelectorAll(".keys").forEach((hint) => { hint.hidden = false; });
  document.addEventListener("keydown", (event) => {
    if (!(event.target instanceof Element)) return;
    const field = event.target.closest("input:not([type=checkbox]), select, textarea, dialog");
    const action = Object.hasOwn(actions, event.key) ? actions[event.key] : null;
    if (!action || field || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });
  count();
})();
