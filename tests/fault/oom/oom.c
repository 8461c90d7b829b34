/* oom.c: the engine of oom.h. Read attempt first: one act with one failure. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include "tests/fault/oom/oom.h"
#include "tests/support/check.h"
#include "tests/support/interpose/malloc.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- the allocator that fails ------------------------------------------------------------------- */

static struct {
    long left; /* allocations until the one that fails; -1: none does */
    bool for_good, hit;
    long calls;
} gate = {.left = -1};
/* The hook itself calls the C library; volatile, as a compiler knows that malloc does not look at it. */
static _Thread_local volatile bool inside;

static void *gate_alloc(void *user, size_t bytes)
{
    (void)user;
    gate.calls++;
    if (gate.left == 0 || (gate.hit && gate.for_good)) {
        gate.hit = true;
        gate.left = -1;
        return NULL;
    }
    gate.left -= gate.left > 0;
    inside = true;
    void *p = aligned_alloc(TP_ALIGN, bytes);
    inside = false;
    return p;
}

static void gate_free(void *user, void *p, size_t bytes)
{
    (void)user, (void)bytes;
    free(p);
}

/* --- allocations that pass by the hook ---------------------------------------------------------- */

static const void *strangers[64]; /* who called */
static int stranger_count;

static bool see(const void *caller)
{
    if (!inside && stranger_count < (int)(sizeof strangers / sizeof *strangers))
        strangers[stranger_count++] = caller;
    return true;
}

/* The object file that an address lies in, from the map of the process. "" if it is in none. */
static void object_of(const void *address, char name[OOM_TEXT])
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[4096];
    name[0] = '\0';
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx", &from, &to) == 2 && (uintptr_t)address >= from &&
            (uintptr_t)address < to) {
            const char *slash = strrchr(line, '/');
            snprintf(name, OOM_TEXT, "%.*s", (int)strcspn(slash ? slash + 1 : "", "\n"),
                     slash ? slash + 1 : "");
        }
    }
    if (maps != NULL)
        fclose(maps);
}

/* Whether only those that the scenario names have allocated. */
static bool only_expected(const scenario *is, tally *sum, char complaint[OOM_TEXT])
{
    char name[OOM_TEXT];
    for (int i = 0; i < stranger_count; i++) {
        object_of(strangers[i], name);
        const char *list = is->foreign ? is->foreign : "", *dot = strstr(name, ".so");
        size_t stem = dot ? (size_t)(dot - name) : strlen(name);
        name[stem] = '\0';
        if (stem > 0 && strstr(list, name) != NULL) {
            sum->foreign++;
            continue;
        }
        snprintf(complaint, OOM_TEXT, "an allocation passed by the hook, in %.100s (at %p)", name,
                 strangers[i]);
        return false;
    }
    return true;
}

/* --- bits ----------------------------------------------------------------------------------------- */

static uint64_t hash(uint64_t h, const void *data, size_t bytes)
{
    const unsigned char *p = data; /* FNV-1a */
    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static uint64_t hash_tensor(uint64_t h, const tp_tensor *x)
{
    h = hash(h, &x->dtype, sizeof x->dtype);
    h = hash(h, x->shape.dim, (size_t)x->shape.ndim * sizeof *x->shape.dim);
    if (tp_is_contiguous(x))
        return hash(h, tp_data(x), (size_t)(tp_numel(x) * tp_dtype_size(x->dtype)));
    for (int64_t i = 0; i < tp_numel(x); i++) {
        double v = tp_flat(x, i);
        h = hash(h, &v, sizeof v);
    }
    return h;
}

tp_status oom_note(scene *s, const tp_tensor *x)
{
    if (x == NULL || x->storage == NULL)
        return tp_fail(TP_EARG, "there is nothing to note");
    s->bits = hash_tensor(s->bits, x);
    return TP_OK;
}

tp_status oom_note_var(scene *s, tp_var v)
{
    const tp_tensor *x = tp_value(v);
    return x == NULL ? tp_var_status(v) : oom_note(s, x);
}

tp_status oom_note_memory(scene *s, const void *p, size_t bytes)
{
    s->bits = hash(s->bits, p, bytes);
    return TP_OK;
}

tp_status oom_note_out(scene *s)
{
    char part[4096];
    long length = ftell(s->out);
    rewind(s->out);
    for (long at = 0; at < length;) {
        size_t want = length - at < (long)sizeof part ? (size_t)(length - at) : sizeof part;
        size_t n = fread(part, 1, want, s->out);
        if (n == 0)
            return tp_fail(TP_EIO, "what was printed cannot be read");
        s->bits = hash(s->bits, part, n);
        at += (long)n;
    }
    return TP_OK;
}

tp_status oom_watch(scene *s, const tp_tensor *x)
{
    if (s->watched_count == OOM_WATCHED)
        return tp_fail(TP_EARG, "too much to watch");
    s->watched[s->watched_count++] = x;
    return TP_OK;
}

static uint64_t watched_bits(const scene *s)
{
    uint64_t h = 1;
    for (int i = 0; i < s->watched_count; i++)
        h = hash_tensor(h, s->watched[i]);
    return h;
}

tp_status oom_draw(tp_tensor *x, tp_dtype dtype, tp_shape shape, uint64_t seed)
{
    TP_TRY(tp_tensor_new(x, dtype, shape));
    return tp_random_uniform(x, (tp_rng_key){.seed = seed});
}

/* --- files -------------------------------------------------------------------------------------- */

static const char *folder(void)
{
    static const char *path;
    if (path == NULL) {
        path = test_tmp("oom");
        mkdir(path, 0777);
    }
    return path;
}

const char *oom_path(const char *name)
{
    static char texts[8][512];
    static int next;
    char *text = texts[next++ % 8];
    snprintf(text, sizeof texts[0], "%s/%s", folder(), name);
    return text;
}

/* Names and contents of all files in a folder and those inside; with wipe they are removed. The order does not
 * matter. */
static uint64_t bits_in(const char *at, bool wipe)
{
    uint64_t sum = 0;
    DIR *d = opendir(at);
    for (struct dirent *e = d ? readdir(d) : NULL; e != NULL; e = readdir(d)) {
        char path[1024], part[4096];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", at, e->d_name);
        uint64_t h = hash(7, e->d_name, strlen(e->d_name));
        FILE *f = fopen(path, "rb");
        for (size_t n; f != NULL && (n = fread(part, 1, sizeof part, f)) > 0;)
            h = hash(h, part, n);
        if (f != NULL)
            fclose(f);
        uint64_t below = bits_in(path, wipe); /* 0 for a file */
        sum += hash(h, &below, sizeof below);
        if (wipe)
            remove(path);
    }
    if (d != NULL)
        closedir(d);
    return sum;
}

static uint64_t folder_bits(bool wipe)
{
    return bits_in(folder(), wipe);
}

/* --- one act with one failure ------------------------------------------------------------------- */

typedef enum kind { CLEAN, ONCE, FOR_GOOD, BUDGET } kind;
static const char *const kind_names[] = {"nothing", "once, allocation", "for good from allocation",
                                         "budget"};

static FILE *shared_out(void)
{
    static FILE *f;
    static char buffer[1 << 16];
    if (f == NULL && (f = tmpfile()) != NULL)
        setvbuf(f, buffer, _IOFBF, sizeof buffer); /* so that stdio never allocates one */
    return f;
}

static void free_made(scene *s)
{
    for (int i = 0; i < OOM_TENSORS; i++)
        tp_tensor_free(&s->made[i]);
    tp_tape_free(s->made_tape);
    tp_optimizer_free(&s->made_optimizer);
    tp_best_free(&s->made_best);
    tp_batches_free(&s->made_batches);
    tp_dataset_free(&s->made_data);
    tp_model_free(&s->made_model);
    tp_params_free(&s->made_params);
    s->made_tape = NULL;
}

static void free_scene(scene *s)
{
    free_made(s);
    tp_tape_free(s->tape);
    tp_optimizer_free(&s->optimizer);
    tp_best_free(&s->best);
    tp_batches_free(&s->batches);
    tp_dataset_free(&s->data);
    tp_model_free(&s->model);
    tp_params_free(&s->params);
    for (int i = 0; i < OOM_TENSORS; i++) {
        tp_tensor_free(&s->t[i]);
        tp_parameter_free(&s->w[i]);
    }
    tp_matmul_release();
}

/* What an act came to. */
typedef struct outcome {
    tp_status status;
    uint64_t bits, files;
} outcome;

static tp_status act(scene *s)
{
    free_made(s);
    tp_matmul_release(); /* every act allocates its own */
    rewind(s->out);
    s->bits = 0xcbf29ce484222325u;
    return s->is->act(s);
}

/* Lets allocation n fail (or gives n bytes beyond what is live) during one act. */
static tp_status act_short(scene *s, kind k, size_t n)
{
    gate.for_good = k == FOR_GOOD;
    gate.hit = false;
    gate.calls = 0;
    gate.left = k == ONCE || k == FOR_GOOD ? (long)n : -1;
    free_made(s);
    tp_matmul_release();
    if (k == BUDGET)
        tp_mem_set_budget(tp_mem().live_bytes + n + 1); /* 0 would mean none */
    stranger_count = 0;
    malloc_watch(see);
    tp_status status = act(s);
    malloc_watch(NULL);
    tp_mem_set_budget(0);
    gate.left = -1;
    gate.hit = gate.hit || (k == BUDGET && status == TP_ENOMEM);
    gate.for_good = false;
    return status;
}

static const char *judge(scene *s, uint64_t watched, uint64_t files, const outcome *clean)
{
    static char text[OOM_TEXT];
    tp_status status = clean->status;
    const char *message = tp_last_error();
    if (status == TP_OK)
        return "the failure was swallowed: TP_OK";
    if (status != TP_ENOMEM || strncmp(message, "E_NOMEM ", 8) != 0) {
        snprintf(text, sizeof text, "not TP_ENOMEM but %s: %.200s", tp_status_name(status),
                 message);
        return text;
    }
    if (strstr(message, "cannot allocate ") == NULL ||
        (!s->is->bare && strncmp(message + 8, "cannot", 6) == 0) ||
        (s->is->says != NULL && strstr(message, s->is->says) == NULL)) {
        snprintf(text, sizeof text, "the message does not say what: %.200s", message);
        return text;
    }
    if (watched_bits(s) != watched)
        return "something that was there is not as it was";
    if (s->is->files && folder_bits(false) != files)
        return "a file changed, or a temporary was left";
    return s->is->intact != NULL ? s->is->intact(s) : NULL;
}

/* One act with one failure, and one without on what that leaves. *hit: whether anything failed. In a clean attempt
 * *want is written, in the others compared with. */
static const char *attempt(const scenario *is, kind k, size_t n, outcome *want, bool *hit,
                           size_t *lacking)
{
    static char text[OOM_TEXT];
    const char *wrong = NULL;
    scene s = {.is = is, .out = shared_out()};
    size_t live = tp_mem().live_bytes;
    outcome first, got;
    tp_status status = is->prepare != NULL ? is->prepare(&s) : TP_OK;
    if (status != TP_OK) {
        snprintf(text, sizeof text, "it cannot be prepared: %.200s", tp_last_error());
        wrong = text;
    }
    uint64_t watched = watched_bits(&s), files = is->files ? folder_bits(false) : 0;
    *hit = false;
    if (wrong == NULL) {
        first.status = act_short(&s, k, n);
        *hit = gate.hit;
        const char *lack = strstr(tp_last_error(), "cannot allocate ");
        size_t bytes, used, limit;
        if (k == BUDGET && *hit && lack != NULL &&
            sscanf(lack, "cannot allocate %zu bytes: %zu of a budget of %zu", &bytes, &used,
                   &limit) == 3)
            *lacking = used + (bytes + TP_ALIGN - 1) / TP_ALIGN * TP_ALIGN +
                       (bytes == 0) * TP_ALIGN - limit;
        if (*hit)
            wrong = judge(&s, watched, files, &first);
    }
    if (wrong == NULL) {
        got.status = *hit ? act(&s) : first.status;
        got.bits = s.bits;
        got.files = is->files ? folder_bits(false) : 0;
        if (got.status != TP_OK) {
            snprintf(text, sizeof text, "%s: %.200s", *hit ? "not usable afterwards" : "it fails",
                     tp_last_error());
            wrong = text;
        } else if (k == CLEAN) {
            *want = got;
        } else if (got.bits != want->bits) {
            wrong = "the result afterwards has other bits";
        } else if (got.files != want->files) {
            wrong = "the files afterwards are others";
        }
    }
    free_scene(&s);
    if (is->files)
        folder_bits(true);
    if (wrong == NULL && tp_mem().live_bytes != live) {
        snprintf(text, sizeof text, "%lld bytes leaked",
                 (long long)tp_mem().live_bytes - (long long)live);
        wrong = text;
    }
    return wrong;
}

/* --- a scenario ----------------------------------------------------------------------------------- */

static bool sweep(const scenario *is, long limit, tally *sum, char complaint[OOM_TEXT])
{
    outcome want;
    size_t lacking = 0;
    bool hit;
    const char *wrong = attempt(is, CLEAN, 0, &want, &hit, &lacking);
    if (wrong != NULL) {
        snprintf(complaint, OOM_TEXT, "%s", wrong);
        return false;
    }
    if (!only_expected(is, sum, complaint))
        return false;
    long calls = gate.calls, step = limit > 0 ? (calls + limit - 1) / limit : 1;
    step = step > 0 ? step : 1;
    for (kind k = ONCE; k <= BUDGET; k++) {
        hit = true;
        size_t stride = k == BUDGET ? 0 : (size_t)step;
        long tried = 0;
        for (size_t n = 0; hit; n += stride) {
            lacking = 0;
            wrong = attempt(is, k, n, &want, &hit, &lacking);
            if (wrong != NULL) {
                snprintf(complaint, OOM_TEXT, "%s %zu: %.200s", kind_names[k], n, wrong);
                return false;
            }
            sum->budgets += k == BUDGET;
            sum->allocations += k == ONCE && hit;
            if (k == BUDGET) { /* what was lacking, or further, when there is a limit */
                stride = lacking > 0 ? lacking : TP_ALIGN;
                if (limit > 0 && ++tried > limit)
                    stride += n;
            }
        }
    }
    sum->of += calls;
    return true;
}

bool oom_run(const scenario *is, long limit, tally *sum, char complaint[OOM_TEXT])
{
    tp_set_allocator(&(tp_allocator){gate_alloc, gate_free, NULL});
    tp_mem_set_chunk(1); /* every block of a tape is an allocation */
    bool clean = sweep(is, limit, sum, complaint);
    tp_mem_set_chunk(0);
    tp_set_allocator(NULL);
    sum->scenarios++;
    return clean;
}
