/* options.h: what a call of the tool asks for: flags, presets and config.json.
 *
 * One table of flags drives parsing, --help, suggestions, and the keys of config.json. Values come from a
 * preset, then from a config.json, then from flags; the later wins. Read next: options.c, values.c, config.c.
 */
#ifndef VAE_OPTIONS_H
#define VAE_OPTIONS_H

#include "models/tapir.h"
#include "json.h"

/* Paths on the command line may be this long; PATH_SIZE leaves room for a file name behind. */
enum { PATH_MAX_GIVEN = 960, PATH_SIZE = 1024 };

enum { EXIT_GOOD = 0, EXIT_BAD = 1, EXIT_USAGE = 2 };

/* Commands are bits, so that a flag can say which ones take it. */
typedef enum command {
    TRAIN = 1,
    EVAL = 2,
    SAMPLE = 4,
    RECONSTRUCT = 8,
    MANIFOLD = 16,
    INFO = 32,
    RESUME = 64, /* no command: the flags that a run which goes on may change */
    MODELS = 128,
    EXPLAIN = 256,
    EXPLAIN_RUN = 512, /* no command: the flags of explain that a run leaves open */
    AIS = 1024,
    TRAVERSE = 2048,
    INTERPOLATE = 4096,
    SCATTER = 8192,
    REPORT = 16384,
    CURVES = 32768
} command;

typedef struct sizes {
    int n;
    int64_t size[TP_MLP_LAYERS - 1];
} sizes;

/* Latent dimensions, and folders of runs. */
enum { INDICES_MOST = 64, PATHS_MOST = 16 };
typedef struct indices {
    int n;
    int64_t at[INDICES_MOST];
} indices;
typedef struct paths {
    int n;
    const char *at[PATHS_MOST];
} paths;

/* Numbers for options of a model type, which the type may have or not. */
enum { NAME_SIZE = 32 };
typedef struct option_list {
    int n;
    struct {
        char name[NAME_SIZE];
        double value;
    } item[TP_MODEL_OPTIONS];
} option_list;

typedef struct options {
    const char *program; /* as it was called */
    /* What makes a run; config.json holds these. Choices are indices. */
    int64_t model, preset;
    int64_t likelihood; /* UNSAID: the model's default */
    int64_t levels;
    option_list set;      /* behind options_read all that the model has */
    char data[PATH_SIZE]; /* a folder or file, or DIGITS */
    int64_t channels;     /* GREY or COLOUR as soon as there are data, or a run */
    int64_t height, width, classes, examples; /* what the training data say; 0: not yet */
    sizes hidden;                             /* none: not said */
    int64_t latent_dim, epochs, batch_size, threads, checkpoint_every;
    int64_t activation, init, output_bias, posterior_scale;
    int64_t valid;    /* training images held back; UNSAID: in a run of a version that never did */
    int64_t keep;     /* KEEP_LAST, KEEP_BEST */
    int64_t patience; /* 0: without end */
    tp_optim optimizer;   /* all but the rate, which is lr */
    tp_schedule schedule; /* in epochs, the first is 0; all but the rate */
    double lr, beta;
    uint64_t seed;
    int64_t binarize;
    uint64_t binarize_seed;
    /* What belongs to one call. */
    char out[PATH_SIZE], config[PATH_SIZE], run[PATH_SIZE], split[PATH_SIZE];
    char resume[PATH_SIZE]; /* train: the folder to go on in, which is out then; else empty */
    int64_t count, steps, importance; /* 0: not said */
    int64_t draws, image;             /* pictures; 0: not said, of an image UNSAID */
    indices dims;
    paths runs; /* curves */
    char terms[PATH_SIZE];
    int64_t x;
    bool log, spherical;
    char at[PATH_SIZE], symbols[PATH_SIZE];
    int64_t format, images, after, gradient; /* explain; format: UNSAID, or as format_name counts */
    int64_t chains, leapfrog, simulate;      /* ais; 0: not said */
    int64_t pilot, start;                    /* UNSAID, or chains; as ais_start_name counts */
    bool trap, table, names, composed, unfold, interactive, help;
} options;

enum {
    BIAS_INIT,
    BIAS_MEAN
}; /* the decoder's last bias before training: as the rest, or by the mean image */
enum { KEEP_LAST, KEEP_BEST }; /* whose weights model.safetensors has */
enum { UNSAID = -1 };          /* a choice that nobody has made yet */

#define VAE_TEXT_OF_(x) #x
#define VAE_TEXT_OF(x) VAE_TEXT_OF_(x)
#define VERSION                                                                                    \
    VAE_TEXT_OF(TP_VERSION_MAJOR)                                                                  \
    "." VAE_TEXT_OF(TP_VERSION_MINOR) "." VAE_TEXT_OF(TP_VERSION_PATCH)

/* --data of this name means the digits that come with the source. */
#define DIGITS "digits"

/* --- flags (options.c) -------------------------------------------------------------------------- */

typedef enum flag_kind {
    INTEGER,
    NUMBER,
    SEED,
    SIZES,
    INDICES,
    OPTION_LIST,
    OPTIMIZER,
    SCHEDULE,
    CHOICE,
    TEXT,
    PATHS, /* may be given several times */
    SWITCH
} flag_kind;

typedef struct flag {
    const char *name;  /* "batch-size"; the key in config.json is "batch_size" */
    const char *value; /* what --help calls its value; "": a switch; NULL: in config.json only */
    unsigned commands, required;
    bool config; /* part of config.json */
    flag_kind kind;
    size_t offset; /* in options */
    double min, max;
    const char *(*choice)(int i); /* NULL behind the last */
    const char *help;
} flag;

/* What explain can write; format_name is NULL behind the last. */
enum {
    FORMAT_TEXT,
    FORMAT_MARKDOWN,
    FORMAT_LATEX,
    FORMAT_HTML,
    FORMAT_DOT,
    FORMAT_MERMAID,
    FORMAT_SVG
};
const char *format_name(int i);

/* Where annealing can start: "prior", "posterior"; NULL behind the last. */
const char *ais_start_name(int i);

extern const flag flags[];
extern const int flag_count;

/* Reads the arguments behind the command, and config.json where one is named. Returns EXIT_GOOD, or
 * the exit code after saying what is wrong. */
int options_read(options *o, command c, const char *name, int argc, char **argv);
/* Sets one value from text; an OPTION_LIST keeps what text does not name. TP_EARG says what is wrong with it, without
 * naming the flag. (values.c) */
tp_status flag_set(options *o, const flag *f, const char *text);
/* The value as text that flag_set reads; empty for none. (values.c) */
void flag_text(const options *o, const flag *f, char text[PATH_SIZE]);
/* The shape of one picture: [height,width] in grey, [3,height,width] in colour; no dimensions before the data are known.
 * (config.c) */
tp_shape options_shape(const options *o);
/* The model's settings. TP_EARG for what its type cannot have, whatever the data are. (config.c) */
tp_status options_model(const options *o, tp_model_config *config);
/* (help.c) */
void options_help(const char *program, command c, const char *name, const char *summary);

/* Of all candidates offered, the one that word may be a slip for; best is NULL if none is near. */
typedef struct nearest {
    const char *word, *best;
    int distance;
} nearest;
nearest nearest_to(const char *word);
void nearest_offer(nearest *n, const char *candidate);

/* --- presets and config.json (config.c) ------------------------------------------------------------ */

const char *preset_name(int i); /* NULL behind the last */
const char *preset_summary(int i);
/* Everything as the preset says; index 0 is the default. */
options preset_options(int i);

/* Overwrites o with what the file sets. *preset_set tells whether it named a preset. */
tp_status config_read(options *o, const char *path, bool *preset_set);
/* The settings as JSON: a key a line for config.json, or on one line and without what does not change
 * the weights (data folder, threads) for the metadata of the model's file. */
void config_write(const options *o, json *j, bool metadata);
/* Whether two such metadata texts are of one run: version and number of epochs may differ. */
bool config_same_run(const char *a, const char *b);

#endif
