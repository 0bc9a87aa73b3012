/* The model server of the measurement: answers at once, and so cheaply that the proxy before it is what is measured.

   upstream PORT FOLDER STEP_US

   FOLDER holds one file an answer, named for what a request asks for (`named` below): a sequence of pieces, each a
   32-bit length and so many bytes. The first piece is sent at once; each step gives every stream its next one, as an
   engine's step gives every request its next token. One thread, HTTP/1.1 with keep-alive, bodies with a content-length.
*/
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { LARGEST_REQUEST = 1 << 16, MOST_PIECES = 1024, MOST_ANSWERS = 256, EVENTS = 256, BACKLOG = 4096 };

struct piece { const char *bytes; size_t length; };
struct answer { char name[256]; int pieces; struct piece piece[MOST_PIECES]; };

struct connection {
  int socket;
  char request[LARGEST_REQUEST + 1];
  size_t received;
  const struct answer *answer; /* under way, or NULL */
  int next, due;               /* the piece to send, and how many may be sent by now */
  size_t sent;                 /* of that piece */
  int writable_wanted;
  struct connection *before, *after; /* in the list of all */
};

static struct answer *answers[MOST_ANSWERS];
static int answer_count, epoll, timer, streams;
static long step_us;
static struct connection *connections, *dropped;

static void die(const char *what) { perror(what); exit(1); }

static const struct answer *find(const char *name) {
  for (int i = 0; i < answer_count; i++)
    if (!strcmp(answers[i]->name, name)) return answers[i];
  return NULL;
}

static void load(const char *folder, const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  if (!file) die(path);
  struct answer *answer = calloc(1, sizeof *answer);
  snprintf(answer->name, sizeof answer->name, "%s", name);
  uint32_t length;
  while (fread(&length, sizeof length, 1, file) == 1) {
    char *bytes = malloc(length);
    if (answer->pieces == MOST_PIECES || fread(bytes, 1, length, file) != length) die(path);
    answer->piece[answer->pieces++] = (struct piece){bytes, length};
  }
  fclose(file);
  answers[answer_count++] = answer;
}

static void load_all(const char *folder) {
  DIR *directory = opendir(folder);
  if (!directory) die(folder);
  for (struct dirent *entry; (entry = readdir(directory));)
    if (entry->d_name[0] != '.' && answer_count < MOST_ANSWERS) load(folder, entry->d_name);
  closedir(directory);
}

/* The number behind `"field":` in a body, with or without a space; `otherwise` where it is not there. */
static long number(const char *body, const char *field, long otherwise) {
  const char *found = strstr(body, field);
  return found ? strtol(found + strlen(field), NULL, 10) : otherwise;
}

static int says(const char *body, const char *field) {
  const char *found = strstr(body, field);
  if (!found) return 0;
  found += strlen(field);
  return !strncmp(found + (*found == ' '), "true", 4);
}

/* Which answer a request asks for: stream, alternatives a token, tokens, usage, and how sure it is. */
static void named(const char *body, char *name, size_t size) {
  int stream = says(body, "\"stream\":");
  int usage = !stream ? 0 : says(body, "\"continuous_usage_stats\":") ? 2 : says(body, "\"include_usage\":");
  long top = strstr(body, "[20x20]") ? 20 : number(body, "\"top_logprobs\":", 0);
  snprintf(name, size, "stream%d-top%ld-tokens%ld-usage%d-%s", stream, top, number(body, "\"max_tokens\":", 20), usage,
           strstr(body, "[unsure]") ? "unsure" : "sure");
}

static void tick_every(long us) {
  struct itimerspec every = {{0, us * 1000}, {0, us * 1000}};
  timerfd_settime(timer, 0, &every, NULL);
}

static void watch(struct connection *c, int writable) {
  if (c->writable_wanted == writable) return;
  struct epoll_event event = {EPOLLIN | (writable ? EPOLLOUT : 0), {.ptr = c}};
  epoll_ctl(epoll, EPOLL_CTL_MOD, c->socket, &event);
  c->writable_wanted = writable;
}

static void finish(struct connection *c) {
  if (c->answer && c->answer->pieces > 1 && --streams == 0) tick_every(0);
  c->answer = NULL;
}

static void drop(struct connection *c) {
  finish(c);
  if (c->before) c->before->after = c->after; else connections = c->after;
  if (c->after) c->after->before = c->before;
  close(c->socket);
  c->socket = -1, c->after = dropped, dropped = c; /* freed later: an event of the same round may still point here */
}

/* Send what is due. */
static void send_due(struct connection *c) {
  while (c->answer && c->next < c->due) {
    const struct piece *piece = &c->answer->piece[c->next];
    ssize_t n = send(c->socket, piece->bytes + c->sent, piece->length - c->sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) return watch(c, 1);
    if (n < 0) return drop(c);
    if ((c->sent += n) < piece->length) continue;
    c->sent = 0;
    if (++c->next == c->answer->pieces) finish(c);
  }
  watch(c, 0);
}

static void answer(struct connection *c, const char *head, const char *body) {
  char name[64] = "models";
  if (!strncmp(head, "POST", 4)) named(body, name, sizeof name);
  if (!(c->answer = find(name))) {
    fprintf(stderr, "no answer named %s\n", name);
    c->answer = find("unknown");
  }
  c->next = 0, c->due = 1, c->sent = 0;
  if (c->answer->pieces > 1 && streams++ == 0) tick_every(step_us);
  send_due(c);
}

static void receive(struct connection *c) {
  ssize_t n = recv(c->socket, c->request + c->received, LARGEST_REQUEST - c->received, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) return drop(c);
  c->received += n;
  c->request[c->received] = 0;
  char *end = strstr(c->request, "\r\n\r\n");
  if (!end) return;
  *end = 0;
  const char *field = strcasestr(c->request, "\r\ncontent-length:");
  size_t length = field ? strtoul(field + 17, NULL, 10) : 0;
  char *body = end + 4;
  if (c->received - (body - c->request) < length) {
    *end = '\r';
    return;
  }
  c->received = 0;
  answer(c, c->request, body);
}

static void accept_all(int listener) {
  for (int socket; (socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    int one = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct connection *c = calloc(1, sizeof *c);
    c->socket = socket, c->after = connections;
    if (connections) connections->before = c;
    connections = c;
    struct epoll_event event = {EPOLLIN, {.ptr = c}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
  }
}

static void step(void) {
  uint64_t ticks;
  if (read(timer, &ticks, sizeof ticks) != sizeof ticks) return;
  for (struct connection *c = connections, *after; c; c = after) {
    after = c->after;
    if (!c->answer || c->answer->pieces == 1) continue;
    c->due = c->due + (int)ticks < c->answer->pieces ? c->due + (int)ticks : c->answer->pieces;
    if (!c->writable_wanted) send_due(c);
  }
}

static void free_dropped(void) {
  for (struct connection *c; (c = dropped);) dropped = c->after, free(c);
}

static int listen_on(int port) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in address = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, BACKLOG)) die("listen");
  return listener;
}

int main(int count, char **arguments) {
  if (count != 4) return fprintf(stderr, "usage: upstream PORT FOLDER STEP_US\n"), 2;
  signal(SIGPIPE, SIG_IGN);
  load_all(arguments[2]);
  step_us = atol(arguments[3]);
  int listener = listen_on(atoi(arguments[1]));
  epoll = epoll_create1(0);
  timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  struct epoll_event accepting = {EPOLLIN, {.ptr = &epoll}}, ticking = {EPOLLIN, {.ptr = &timer}};
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &accepting);
  epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &ticking);
  for (;;) {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < n; i++) {
      struct connection *c = events[i].data.ptr;
      if ((void *)c == &epoll) accept_all(listener);
      else if ((void *)c == &timer) step();
      else if (c->socket >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
      if ((void *)c != &epoll && (void *)c != &timer && c->socket >= 0 && events[i].events & EPOLLOUT) send_due(c);
    }
    free_dropped();
  }
}
