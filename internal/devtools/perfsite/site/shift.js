addEventListener("load", () => requestAnimationFrame(() => setTimeout(() => {
  const banner = document.createElement("p");
  banner.className = "banner";
  banner.textContent = "The workshop is closed on Monday.";
  document.body.prepend(banner);
}, 100)));
