"use strict";
document.getElementById("show").addEventListener("click", async () => {
  const list = document.getElementById("list");
  try {
    const answer = await fetch("/api/list");
    if (!answer.ok) throw new Error("the list answered " + answer.status);
    const { items } = await answer.json();
    list.replaceChildren(...items.map((item) => {
      const li = document.createElement("li");
      li.textContent = item.name + ", " + item.price;
      return li;
    }));
  } catch (error) {
    const li = document.createElement("li");
    li.textContent = "There is no list: " + error.message;
    list.replaceChildren(li);
  }
  list.dispatchEvent(new Event("rendered"));
});
document.getElementById("order").addEventListener("submit", (event) => {
  event.preventDefault();
  document.getElementById("answer").textContent = "Thank you, " + document.getElementById("name").value;
});
