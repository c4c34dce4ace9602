const cells = JSON.parse(document.getElementById("cells").textContent);
const dialog = document.getElementById("photos");
const open = key => {
  dialog.querySelector("h2").textContent = cells[key].title;
  dialog.querySelector("ul").replaceChildren(...cells[key].photos.map(([path, sure, uri]) => {
    const item = document.createElement("li"), image = new Image(), words = document.createElement("span");
    image.src = uri; image.alt = path; words.className = "path"; words.textContent = `${sure} sure · ${path}`;
    item.append(image, words);
    return item;
  }));
  dialog.showModal();
};
document.querySelectorAll("[data-cell]").forEach(
  button => button.addEventListener("click", () => open(button.dataset.cell)));
document.querySelector(".chooser")?.addEventListener("submit", event => {
  event.preventDefault();
  open(document.getElementById("cell").value);
});
const map = document.querySelector(".map");
map?.querySelector("svg").addEventListener("click", event => {
  const [left, top, width, height] = map.dataset.box.split(" ").map(Number), classes = Number(map.dataset.classes);
  const side = event.currentTarget.getBoundingClientRect();
  const row = ((event.clientY - side.top) / side.height - top) / height * classes - .5;
  const column = ((event.clientX - side.left) / side.width - left) / width * classes - .5;
  // A spot may be smaller than a finger: the nearest one that has photos, if it is close by.
  const far = key => { const [i, j] = key.split("-").map(Number); return Math.hypot(i - row, j - column); };
  const nearest = Object.keys(cells).sort((a, b) => far(a) - far(b))[0];
  if (nearest && far(nearest) < Math.max(1, classes / 40)) open(nearest);
});
dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
