/* The clients of the measurement: each asks, reads the whole reply, and asks again, over one kept connection.

   load PORT CLIENTS SECONDS PERIOD_US {EXPECTED REQUEST_FILE}...

   The requests are sent in turn, whole HTTP messages; a reply is good where its status is 200 and its head holds
   EXPECTED. With a PERIOD_US above 0 a client begins a request so long after it began the one before, so that the load
   is the same whoever answers. Writes one `struct record` a reply to standard output; one thread, one epoll.
*/
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CLIENTS = 20000, MOST_REQUESTS = 64, HEAD = 16384, BUFFER = 1 << 18, EVENTS = 256 };
static const double STALLED_S = 60; /* without a byte */
enum phase { IDLE, IN_HEAD, IN_BODY, IN_SIZE, IN_CHUNK, BEHIND_CHUNK, IN_TRAILER };

struct record { uint32_t request, good; float first_us, total_us; };
struct request { const char *expected; char *bytes; size_t length; };

struct client {
  int socket, request, good, closing, trailer;
  enum phase phase;
  double began, first, due; /* seconds */
  size_t headed, left;      /* bytes of the head; bytes to come of a body or a chunk */
  char head[HEAD + 1];
};

static struct client *clients;
static struct request requests[MOST_REQUESTS];
static struct record *records;
static size_t recorded, room;
static int epoll, port, request_count, turn, failures, awaited;
static double until, heard;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void die(const char *what) { perror(what); exit(1); }

static void read_request(const char *expected, const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file || request_count == MOST_REQUESTS) die(path);
  struct request *r = &requests[request_count++];
  r->expected = expected, r->bytes = malloc(HEAD * 4), r->length = fread(r->bytes, 1, HEAD * 4, file);
  fclose(file);
}

static void connect_one(struct client *c) {
  struct sockaddr_in address = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
  int one = 1;
  c->socket = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(c->socket, (struct sockaddr *)&address, sizeof address)) die("connect");
  setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct epoll_event event = {EPOLLIN, {.ptr = c}};
  epoll_ctl(epoll, EPOLL_CTL_ADD, c->socket, &event);
  c->phase = IDLE;
}

static void record(struct client *c, int good) {
  c->phase = IDLE, awaited--;
  double end = now();
  if (recorded == room && !(records = realloc(records, (room = room ? 2 * room : 65536) * sizeof *records))) exit(1);
  double first = c->first ? c->first : end;
  records[recorded++] =
      (struct record){c->request, good, (first - c->began) * 1e6, (end - c->began) * 1e6};
  failures = good ? 0 : failures + 1;
  if (failures > 1000) fprintf(stderr, "a thousand replies in a row were not good\n"), exit(1);
}

static void ask(struct client *c) {
  c->request = turn++ % request_count;
  struct request *r = &requests[c->request];
  c->phase = IN_HEAD, c->headed = 0, c->first = 0;
  c->began = now(), awaited++;
  if (send(c->socket, r->bytes, r->length, MSG_NOSIGNAL) != (ssize_t)r->length) record(c, 0);
}

static void reconnect(struct client *c) {
  close(c->socket);
  connect_one(c);
}

static void done(struct client *c, double period) {
  record(c, c->good);
  if (c->closing) reconnect(c);
  c->due = period > 0 ? c->due + period : now();
  if (period <= 0 && now() < until) ask(c);
}

/* The head is there: what it says of the reply and of the body's length. */
static void read_head(struct client *c) {
  c->head[c->headed] = 0;
  c->good = !strncmp(c->head, "HTTP/1.1 200", 12) && strcasestr(c->head, requests[c->request].expected) != NULL;
  c->closing = strcasestr(c->head, "\r\nconnection: close") != NULL;
  const char *length = strcasestr(c->head, "\r\ncontent-length:");
  if (strcasestr(c->head, "\r\ntransfer-encoding: chunked")) c->phase = IN_SIZE, c->left = 0;
  else if (length) c->phase = IN_BODY, c->left = strtoul(length + 17, NULL, 10);
  else fprintf(stderr, "a reply of unknown length\n"), exit(1);
}

static size_t in_head(struct client *c, const char *bytes, size_t n) {
  size_t taken = n < HEAD - c->headed ? n : HEAD - c->headed, before = c->headed;
  memcpy(c->head + before, bytes, taken);
  c->head[before + taken] = 0;
  char *end = strstr(c->head + (before > 3 ? before - 3 : 0), "\r\n\r\n");
  c->headed = before + taken;
  if (!end) {
    if (c->headed == HEAD) fprintf(stderr, "a head without end\n"), exit(1);
    return taken;
  }
  c->headed = end + 4 - c->head;
  read_head(c);
  return c->headed - before;
}

/* One byte of a chunk's size line, of the line break behind a chunk, or of the trailer; whether the reply is whole. */
static int between_chunks(struct client *c, char sign) {
  if (c->phase == IN_SIZE) {
    if (isxdigit(sign)) c->left = c->left * 16 + (isdigit(sign) ? sign - '0' : (sign | 32) - 'a' + 10);
    if (sign == '\n') c->phase = c->left ? IN_CHUNK : IN_TRAILER, c->trailer = 0;
  } else if (c->phase == BEHIND_CHUNK) {
    if (sign == '\n') c->phase = IN_SIZE, c->left = 0;
  } else if (sign == '\n') {
    if (!c->trailer) return 1;
    c->trailer = 0;
  } else if (sign != '\r') {
    c->trailer = 1;
  }
  return 0;
}

/* Take what has come; whether the reply is whole. */
static int take(struct client *c, const char *bytes, size_t n) {
  while (n) {
    size_t taken = 1;
    if (c->phase == IN_HEAD) {
      taken = in_head(c, bytes, n);
      if (c->phase == IN_BODY && !c->left) return 1;
    } else if (c->phase == IN_BODY || c->phase == IN_CHUNK) {
      taken = n < c->left ? n : c->left;
      if (!c->first) c->first = now();
      if (!(c->left -= taken)) {
        if (c->phase == IN_BODY) return 1;
        c->phase = BEHIND_CHUNK;
      }
    } else if (between_chunks(c, *bytes)) {
      return 1;
    }
    bytes += taken, n -= taken;
  }
  return 0;
}

static void readable(struct client *c, double period) {
  static char buffer[BUFFER];
  ssize_t n = recv(c->socket, buffer, BUFFER, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return;
  heard = now();
  if (n <= 0) {
    if (c->phase != IDLE) record(c, 0);
    reconnect(c);
    c->due = now() + period;
  } else if (c->phase != IDLE && take(c, buffer, n)) {
    done(c, period);
  }
}

/* Ask for whom it is time; the seconds until the next one's time. */
static double begin_due(int count, double period) {
  double at = now(), next = until - at;
  for (int i = 0; i < count; i++) {
    struct client *c = &clients[i];
    if (c->phase == IDLE && at < until && c->due <= at) {
      if (at - c->due > period) c->due = at; /* what came too late is not made up for */
      ask(c);
    }
    if (c->phase == IDLE && c->due - at < next) next = c->due - at;
  }
  return next > 0 ? next : 0;
}

static void run(int count, double period) {
  heard = now();
  for (;;) {
    double wait = awaited < count ? begin_due(count, period) : 1;
    if (now() >= until && !awaited) return;
    if (now() >= until) wait = 1;
    struct timespec limit = {(time_t)wait, (wait - (time_t)wait) * 1e9};
    struct epoll_event events[EVENTS];
    int n = epoll_pwait2(epoll, events, EVENTS, &limit, NULL);
    for (int i = 0; i < n; i++) readable(events[i].data.ptr, period);
    if (awaited && now() - heard > STALLED_S) fprintf(stderr, "nothing came for %.0f s\n", STALLED_S), exit(1);
  }
}

int main(int count, char **arguments) {
  if (count < 7 || count % 2 == 0) return fprintf(stderr, "usage: load PORT CLIENTS SECONDS PERIOD_US {EXPECTED FILE}...\n"), 2;
  signal(SIGPIPE, SIG_IGN);
  port = atoi(arguments[1]);
  int many = atoi(arguments[2]);
  double seconds = atof(arguments[3]), period = atof(arguments[4]) * 1e-6;
  for (int i = 5; i < count; i += 2) read_request(arguments[i], arguments[i + 1]);
  if (many < 1 || many > MOST_CLIENTS || !(clients = calloc(many, sizeof *clients))) return 2;
  epoll = epoll_create1(0);
  for (int i = 0; i < many; i++) connect_one(&clients[i]);
  double begin = now();
  until = begin + seconds;
  for (int i = 0; i < many; i++) clients[i].due = begin + period * i / many;
  run(many, period);
  if (fwrite(records, sizeof *records, recorded, stdout) != recorded) die("write");
  return 0;
}
