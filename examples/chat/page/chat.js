// The page: one connection, one room.

const login = document.querySelector("#login");
const say = document.querySelector("#say");
const said = document.querySelector("#said");
const status = document.querySelector("#status");

function show({ author, text }) {
  const line = document.createElement("li");
  line.classList.toggle("own", author === login.elements.name.value.trim());
  const name = document.createElement("b");
  name.textContent = author;
  line.append(name, text);
  said.append(line);
  line.scrollIntoView();
}

login.addEventListener("submit", (event) => {
  event.preventDefault();
  const { name, room } = Object.fromEntries(new FormData(login));
  // Without polling, any worker may serve the connection.
  const socket = io({ transports: ["websocket"], auth: { name } });

  socket.on("connect", async () => {
    const latest = await socket.emitWithAck("enter", { room });
    said.replaceChildren();
    latest.forEach(show);
    status.textContent = `You are in ${room}.`;
    login.hidden = true;
    say.hidden = false;
    say.elements.text.focus();
  });
  socket.on("connect_error", (error) => {
    status.textContent = error.message;
  });
  socket.on("disconnect", () => {
    status.textContent = "The connection is lost.";
  });
  socket.on("said", show);

  say.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = say.elements.text.value;
    const answer = await socket.emitWithAck("say", { room, text });
    if (answer.error) {
      status.textContent = answer.error.type ?? answer.error;
    } else {
      say.reset();
    }
  });
});
