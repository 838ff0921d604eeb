/* CSV text. */
#include "ends.h"
#include "four_fields.h"

PyDoc_STRVAR(read_floats_doc, "read_floats(buffer, starts, ends, values, left)\n\n"
                              "values[i] = the number buffer[starts[i]:ends[i]], sign of zero included. Fields that are\n"
                              "not plainly one are numbered in left; returns how many.");

static PyObject *read_floats(PyObject *self, PyObject *args)
{
    PyObject *objects[5];
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOOO", &objects[0], &objects[1], &objects[2], &objects[3], &objects[4]))
        return NULL;
    static const Py_ssize_t sizes[5] = {1, 8, 8, 8, 8};
    Buffer b[5] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 5; k++)
        if (!acquire(objects[k], &b[k], sizes[k], k >= 3))
            goto done;
    const char *buffer = b[0].view.buf, *stop = buffer + items(&b[0]);
    const int64_t *starts = b[1].view.buf, *ends = b[2].view.buf;
    double *values = b[3].view.buf;
    int64_t *left = b[4].view.buf;
    Py_ssize_t n = items(&b[1]), n_left = 0;
    if (items(&b[2]) != n || items(&b[3]) != n || items(&b[4]) != n) {
        PyErr_SetString(PyExc_ValueError, "arrays do not fit together");
        goto done;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        if (starts[i] < 0 || starts[i] > ends[i] || ends[i] > items(&b[0])) {
            PyErr_SetString(PyExc_ValueError, "a field is out of range");
            goto done;
        }
        const char *first = buffer + starts[i], *last = buffer + ends[i], *end = NULL;
        /* what follows the field must not read like more of the number */
        if (first < last && last < stop && !is_digit((unsigned char)*last) && !memchr(".eE+-", *last, 5))
            values[i] = read_value(first, stop, &end);
        if (end != last)
            left[n_left++] = i;
    }
    result = PyLong_FromSsize_t(n_left);
done:
    release(b, 5);
    return result;
}

PyDoc_STRVAR(read_csv_doc,
             "read_csv(text, delimiter, n_columns, values, ends, left)\n\n"
             "Read whole lines of n_columns fields: the number that each field plainly is, NaN where it is something\n"
             "else, and where it ends. Fields of the second kind are numbered in left. Returns how many rows and how\n"
             "many such fields there are; or None if anything is unusual: quotes, bytes outside ASCII, carriage returns,\n"
             "blanks around a field, empty lines, or another number of fields.");

/* For so many chunks fields are not read four at a time once that was in vain for half of a chunk. */
#define RESTING 32

/* Read a field that is not as plain as most: 1 if it is a number, 0 if it is something else, -1 if that is unusual. */
static NOT_INLINE int read_other(const char *first, const char *last, const char *stop, double *value)
{
    const char *end;
    *value = read_number(first, stop, &end);
    if (end == last)
        return 1;
    *value = NAN;
    for (const char *p = first; p < last; p++)
        if (*p == '"' || *p == '\r' || !*p || (unsigned char)*p >= 0x80)
            return -1;
    return last > first && (is_blank(*first) || is_blank(last[-1])) ? -1 : 0;
}

/* What read_csv does, in terms of it: the number of rows, or -1 if anything is unusual. */
EACH_GENERATION static Py_ssize_t read_lines(const char *text, Py_ssize_t size, char delimiter, Py_ssize_t n_columns,
                                             Py_ssize_t room, double *restrict values, int64_t *restrict ends,
                                             int64_t *restrict left, Py_ssize_t *n_left)
{
    uint16_t found[CHUNK + ENDS_ROOM];
    uint8_t are_read[CHUNK / AT_ONCE + 1];
    Py_ssize_t at = 0, others = 0, until_last = n_columns;
    int resting = reads_four_fields() ? 0 : -1, way = fastest_way();
    const char *next = text;
    for (Py_ssize_t from = 0; from < size; from += CHUNK) {
        const char *chunk = text + from;
        Py_ssize_t n_feeds = 0, n_rows = 0, last_one = until_last - 1;
        Py_ssize_t n = find_ends(way, chunk, size - from < CHUNK ? size - from : CHUNK, delimiter, found, &n_feeds);
        if (n > room - at)
            return -1;
        /* where a line feed must be there is one, and there are no more */
        for (; last_one < n; last_one += n_columns, n_rows++)
            if (chunk[found[last_one]] != '\n')
                return -1;
        if (n_rows != n_feeds)
            return -1;
        until_last = last_one - n + 1;
        memset(are_read, 0, (size_t)n / AT_ONCE + 1);
        if (resting > 0)
            resting--;
        else if (!resting && n > AT_ONCE && from + found[AT_ONCE] >= WORD_BYTES &&
                 read_four_fields(chunk, found, n, values + at, are_read) > n / AT_ONCE / 2)
            resting = RESTING;
        for (Py_ssize_t k = 0; k < n; k++)
            ends[at + k] = from + found[k];
        for (Py_ssize_t group = 0; group < n; group += AT_ONCE) {
            if (are_read[group / AT_ONCE])
                continue;
            for (Py_ssize_t k = group; k < n && k < group + AT_ONCE; k++) {
                const char *first = k ? chunk + found[k - 1] + 1 : next, *last = chunk + found[k];
                if (last - text >= FIELD_BYTES && read_field(first, last, values + at + k))
                    continue;
                int known = read_other(first, last, text + size, values + at + k);
                if (known < 0 || (first == last && n_columns == 1)) /* which is an empty line */
                    return -1;
                if (!known)
                    left[others++] = at + k;
            }
        }
        next = n ? chunk + found[n - 1] + 1 : next;
        at += n;
    }
    *n_left = others;
    return until_last < n_columns ? -1 : at / n_columns;
}

static PyObject *read_csv(PyObject *self, PyObject *args)
{
    PyObject *objects[3];
    Py_buffer whole;
    Py_ssize_t n_columns, n_rows, n_left = 0;
    int delimiter;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*inOOO", &whole, &delimiter, &n_columns, &objects[0], &objects[1], &objects[2]))
        return NULL;
    static const Py_ssize_t sizes[3] = {8, 8, 8};
    Buffer out[3] = {{.held = 0}};
    PyObject *result = NULL;
    for (int k = 0; k < 3; k++)
        if (!acquire(objects[k], &out[k], sizes[k], 1))
            goto done;
    double *values = out[0].view.buf;
    int64_t *ends = out[1].view.buf, *left = out[2].view.buf;
    Py_ssize_t room = items(&out[0]);
    if (n_columns < 1 || items(&out[1]) != room || items(&out[2]) != room) {
        PyErr_SetString(PyExc_ValueError, "arrays or numbers do not fit together");
        goto done;
    }
    const char *text = whole.buf;
    if (!whole.len || text[whole.len - 1] != '\n')
        goto unusual;
    n_rows = read_lines(text, whole.len, (char)delimiter, n_columns, room, values, ends, left, &n_left);
    if (n_rows < 0)
        goto unusual;
    result = Py_BuildValue("nn", n_rows, n_left);
    goto done;
unusual:
    result = Py_None;
    Py_INCREF(result);
done:
    release(out, 3);
    PyBuffer_Release(&whole);
    return result;
}

PyDoc_STRVAR(field_ends_doc, "field_ends(text, delimiter, way, ends)\n\n"
                             "Where fields end in a short text, found in one of the ways of read_csv: how many there are,\n"
                             "and how many of these ends are line feeds; or None if the processor has not this way.");

static PyObject *field_ends(PyObject *self, PyObject *args)
{
    Py_buffer text;
    PyObject *object, *result = NULL;
    int delimiter, way;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iiO", &text, &delimiter, &way, &object))
        return NULL;
    Buffer out = {.held = 0};
    uint16_t found[CHUNK + ENDS_ROOM];
    Py_ssize_t n_feeds = 0;
    if (!acquire(object, &out, 2, 1))
        goto done;
    if (text.len > CHUNK || items(&out) < text.len || way < 0 || way >= N_WAYS) {
        PyErr_SetString(PyExc_ValueError, "arrays or numbers do not fit together");
        goto done;
    }
    if (way > fastest_way()) {
        result = Py_None;
        Py_INCREF(result);
        goto done;
    }
    Py_ssize_t n = find_ends(way, text.buf, text.len, (char)delimiter, found, &n_feeds);
    memcpy(out.view.buf, found, (size_t)n * sizeof *found);
    result = Py_BuildValue("nn", n, n_feeds);
done:
    release(&out, 1);
    PyBuffer_Release(&text);
    return result;
}

/* So many different texts are looked through one by one for each field. */
#define FEW 16

PyDoc_STRVAR(few_texts_doc, "few_texts(text, ends, n_columns, column)\n\n"
                            "List of the different fields of a column, in the order in which they come; ends as read_csv\n"
                            "gives them. None if there are more than a few.");

static PyObject *few_texts(PyObject *self, PyObject *args)
{
    Py_buffer whole;
    PyObject *object, *result = NULL;
    Py_ssize_t n_columns, column, n_known = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*Onn", &whole, &object, &n_columns, &column))
        return NULL;
    const char *text = whole.buf, *known[FEW];
    int64_t sizes[FEW];
    Buffer b = {.held = 0};
    if (!acquire(object, &b, 8, 0))
        goto done;
    const int64_t *ends = b.view.buf;
    Py_ssize_t n = items(&b);
    if (n_columns < 1 || n % n_columns || column < 0 || column >= n_columns) {
        PyErr_SetString(PyExc_ValueError, "arrays or numbers do not fit together");
        goto done;
    }
    for (Py_ssize_t at = column; at < n; at += n_columns) {
        int64_t first = at ? ends[at - 1] : -1;
        if (first < -1 || first >= ends[at] || ends[at] > whole.len) {
            PyErr_SetString(PyExc_ValueError, "a field is out of range");
            goto done;
        }
        const char *field = text + first + 1;
        int64_t size = ends[at] - first - 1;
        Py_ssize_t k = 0;
        while (k < n_known && (sizes[k] != size || memcmp(known[k], field, (size_t)size)))
            k++;
        if (k == FEW) {
            result = Py_None;
            Py_INCREF(result);
            goto done;
        }
        known[k] = field;
        sizes[k] = size;
        n_known += k == n_known;
    }
    result = PyList_New(n_known);
    for (Py_ssize_t k = 0; result && k < n_known; k++) {
        PyObject *field = PyBytes_FromStringAndSize(known[k], (Py_ssize_t)sizes[k]);
        if (!field) {
            Py_CLEAR(result);
            break;
        }
        PyList_SetItem(result, k, field);
    }
done:
    release(&b, 1);
    PyBuffer_Release(&whole);
    return result;
}

PyDoc_STRVAR(count_nonzero_doc, "count_nonzero(values)\n\nHow many of the values are not zero.");

EACH_PROCESSOR static int64_t nonzero_of(const double *values, Py_ssize_t n)
{
    int64_t count = 0;
    for (Py_ssize_t k = 0; k < n; k++)
        count += values[k] != 0;
    return count;
}

static PyObject *count_nonzero(PyObject *self, PyObject *object)
{
    Buffer b = {.held = 0};
    PyObject *result = NULL;
    (void)self;
    if (acquire(object, &b, 8, 0))
        result = PyLong_FromLongLong(nonzero_of(b.view.buf, items(&b)));
    release(&b, 1);
    return result;
}

PyMethodDef csv_methods[] = {
    {"read_floats", read_floats, METH_VARARGS, read_floats_doc},
    {"read_csv", read_csv, METH_VARARGS, read_csv_doc},
    {"field_ends", field_ends, METH_VARARGS, field_ends_doc},
    {"few_texts", few_texts, METH_VARARGS, few_texts_doc},
    {"count_nonzero", count_nonzero, METH_O, count_nonzero_doc},
    {NULL, NULL, 0, NULL},
};
