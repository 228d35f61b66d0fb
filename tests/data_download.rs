//! Downloading, against a server of this process on the loopback interface.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use cugrad::Error;
use cugrad::data::cifar10::{FOLDER, NAMES_FILE, TEST_FILE, TRAIN_FILES};
use cugrad::data::download::{Download, OFFICIAL_URL, Progress};
use sha2::{Digest, Sha256};

/// What the server does with each request.
#[derive(Clone)]
enum Answer {
    /// Sends this body, and its length before it.
    Whole(Vec<u8>),
    /// Sends this body without telling its length.
    Unmeasured(Vec<u8>),
    /// Promises the whole body and hangs up half-way.
    HangUp(Vec<u8>),
    /// Promises the whole body and stops sending half-way, without hanging up.
    Stall(Vec<u8>),
    /// Takes the request and never answers.
    Silence,
    /// Answers with a status line alone.
    Status(&'static str),
    /// Sends the client on to another address.
    Redirect(String),
}

/// A server on 127.0.0.1 that gives every request the same answer, until it is dropped.
struct Server {
    url: String,
    /// Stalled connections end when this is dropped.
    _alive: Sender<()>,
}

impl Server {
    fn new(answer: Answer) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/cifar-10-binary.tar.gz", listener.local_addr().unwrap());
        let (alive, until_dropped) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().take(1) {
                serve(stream.unwrap(), &answer, &until_dropped);
            }
        });
        Server { url, _alive: alive }
    }
}

fn serve(mut stream: TcpStream, answer: &Answer, until_dropped: &Receiver<()>) {
    let mut request = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while request.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    // The client may hang up first: that is its right, so errors of writing are none here.
    let mut send = |parts: &[&[u8]]| {
        let _ = parts.iter().try_for_each(|part| stream.write_all(part));
    };
    match answer {
        Answer::Whole(body) => send(&[head(body.len()).as_bytes(), body]),
        Answer::Unmeasured(body) => {
            send(&[b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", body]);
        }
        Answer::HangUp(body) => send(&[head(body.len()).as_bytes(), &body[..body.len() / 2]]),
        Answer::Stall(body) => {
            send(&[head(body.len()).as_bytes(), &body[..body.len() / 2]]);
            let _ = until_dropped.recv();
        }
        Answer::Silence => {
            let _ = until_dropped.recv();
        }
        Answer::Status(status) => {
            send(&[format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()]);
        }
        Answer::Redirect(url) => {
            send(&[format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n").as_bytes()])
        }
    }
}

/// The content of a wanted file.
fn content(name: &str) -> Vec<u8> {
    name.bytes().cycle().take(50_000).collect()
}

fn wanted() -> impl Iterator<Item = &'static str> {
    TRAIN_FILES.into_iter().chain([TEST_FILE, NAMES_FILE])
}

/// A compressed archive of the files that `names` gives, each under its path.
fn archive_of(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in members {
        let mut header = tar::Header::new_gnu();
        // Written into the header as it is: `set_path` would refuse a path that leaves the folder.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o4777);
        header.set_cksum();
        tar.append(&header, &bytes[..]).unwrap();
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar.into_inner().unwrap()).unwrap();
    gzip.finish().unwrap()
}

/// A sound archive, with members that nobody asked for.
fn archive() -> Vec<u8> {
    let paths: Vec<(String, Vec<u8>)> =
        wanted().map(|name| (format!("{FOLDER}/{name}"), content(name))).collect();
    let mut members: Vec<(&str, Vec<u8>)> = vec![
        ("../escaped.bin", content("escaped")),
        ("/tmp/cugrad-escaped.bin", content("escaped")),
        ("cifar-10-batches-bin/readme.html", content("readme")),
        ("elsewhere/data_batch_1.bin", content("elsewhere")),
    ];
    members.extend(paths.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())));
    archive_of(&members)
}

/// A download of `archive` from `urls`, with little patience.
fn download(archive: &[u8], urls: &[&str]) -> Download {
    Download {
        urls: urls.iter().map(|url| url.to_string()).collect(),
        bytes: archive.len() as u64,
        sha256: Sha256::digest(archive).iter().map(|byte| format!("{byte:02x}")).collect(),
        connect_timeout: Duration::from_secs(2),
        stall_timeout: Duration::from_millis(300),
    }
}

fn assert_unpacked(folder: &Path) {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut expected: Vec<_> = wanted().collect();
    expected.sort();
    assert_eq!(names, expected, "the wanted files and no other");
    for name in wanted() {
        assert_eq!(fs::read(folder.join(name)).unwrap(), content(name), "{name}");
    }
}

/// Runs a download that must fail with [`Error::Download`], leaving nothing behind; returns its
/// reason.
fn refused(download: &Download) -> String {
    let dir = tempfile::tempdir().unwrap();
    let result = download.run(dir.path(), &mut |_| {});
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "something was left behind");
    match result {
        Err(Error::Download { why, help, .. }) => {
            assert!(help.contains("--data-dir"), "{help}");
            why
        }
        other => panic!("expected a download error, found {other:?}"),
    }
}

#[test]
fn only_the_wanted_files_are_unpacked() {
    for unmeasured in [false, true] {
        let archive = archive();
        let answer =
            if unmeasured { Answer::Unmeasured(archive.clone()) } else { Answer::Whole(archive.clone()) };
        let server = Server::new(answer);
        let dir = tempfile::tempdir().unwrap();
        let parent = dir.path().join("not/there/yet");
        let mut events = Vec::new();
        let folder = download(&archive, &[&server.url])
            .run(&parent, &mut |progress| events.push(format!("{progress:?}")))
            .unwrap();
        assert_eq!(folder, parent.join(FOLDER));
        assert_unpacked(&folder);
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 1, "only the folder itself");
        assert!(!dir.path().join("not/there/escaped.bin").exists());
        assert!(!Path::new("/tmp/cugrad-escaped.bin").exists());

        assert!(events[0].starts_with("Connecting"), "{events:?}");
        let total = archive.len();
        assert!(events.contains(&format!("Receiving {{ received: {total}, total: {total} }}")));
        assert_eq!(events.iter().filter(|event| event.starts_with("Unpacking")).count(), 7);
    }
}

#[test]
#[cfg(unix)]
fn files_get_ordinary_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let archive = archive();
    let server = Server::new(Answer::Whole(archive.clone()));
    let dir = tempfile::tempdir().unwrap();
    let folder = download(&archive, &[&server.url]).run(dir.path(), &mut |_| {}).unwrap();
    fs::write(dir.path().join("ordinary"), "").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&folder.join(TEST_FILE)), mode(&dir.path().join("ordinary")));
}

#[test]
fn older_files_are_replaced_and_others_left() {
    let archive = archive();
    let server = Server::new(Answer::Whole(archive.clone()));
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(FOLDER);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join(TEST_FILE), "damaged").unwrap();
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    download(&archive, &[&server.url]).run(dir.path(), &mut |_| {}).unwrap();
    assert_eq!(fs::read_to_string(folder.join("notes.txt")).unwrap(), "mine");
    fs::remove_file(folder.join("notes.txt")).unwrap();
    assert_unpacked(&folder);
}

#[test]
fn a_wrong_hash_is_refused_before_anything_is_unpacked() {
    let archive = archive();
    let mut altered = archive.clone();
    *altered.last_mut().unwrap() ^= 1;
    let server = Server::new(Answer::Whole(altered));
    let why = refused(&download(&archive, &[&server.url]));
    assert!(why.contains("not the right one: expected SHA-256"), "{why}");
}

#[test]
fn a_wrong_length_is_refused() {
    let archive = archive();
    let longer = [&archive[..], b"more"].concat();
    let server = Server::new(Answer::Whole(longer.clone()));
    let why = refused(&download(&archive, &[&server.url]));
    assert!(why.contains(&format!("expected an archive of {} bytes, found one of", archive.len())));

    let server = Server::new(Answer::Unmeasured(longer));
    let why = refused(&download(&archive, &[&server.url]));
    assert!(why.contains("more were sent"), "{why}");

    let shorter = archive[..archive.len() - 1].to_vec();
    let server = Server::new(Answer::Unmeasured(shorter.clone()));
    let why = refused(&download(&archive, &[&server.url]));
    assert!(why.contains(&format!("ended after {} of {} bytes", shorter.len(), archive.len())), "{why}");
}

#[test]
fn a_broken_connection_is_refused_and_says_how_far_it_came() {
    let archive = archive();
    let server = Server::new(Answer::HangUp(archive.clone()));
    let why = refused(&download(&archive, &[&server.url]));
    assert!(why.contains(&format!("after {} of {} bytes", archive.len() / 2, archive.len())), "{why}");
}

#[test]
fn a_server_that_stalls_is_given_up() {
    let archive = archive();
    for answer in [Answer::Stall(archive.clone()), Answer::Silence] {
        let server = Server::new(answer);
        let start = Instant::now();
        let why = refused(&download(&archive, &[&server.url]));
        assert!(why.contains("no data for 300ms"), "{why}");
        assert!(start.elapsed() < Duration::from_secs(10), "took {:?}", start.elapsed());
    }
}

#[test]
fn an_error_status_is_named() {
    for status in ["404 Not Found", "503 Service Unavailable"] {
        let server = Server::new(Answer::Status(status));
        let why = refused(&download(&archive(), &[&server.url]));
        assert!(why.contains(&format!("status {}", &status[..3])), "{why}");
    }
}

#[test]
fn a_redirection_is_followed() {
    let archive = archive();
    let server = Server::new(Answer::Whole(archive.clone()));
    let front = Server::new(Answer::Redirect(server.url.clone()));
    let dir = tempfile::tempdir().unwrap();
    assert_unpacked(&download(&archive, &[&front.url]).run(dir.path(), &mut |_| {}).unwrap());
}

#[test]
fn an_address_that_makes_no_sense_is_an_error() {
    for url in ["", "not a url", "ftp://127.0.0.1/x", "http://", "http://[::1"] {
        let why = refused(&download(&archive(), &[url]));
        assert!(!why.is_empty(), "{url}");
    }
    assert!(refused(&download(&archive(), &[])).contains("no address"));
}

#[test]
fn mirrors_are_tried_in_order_and_each_failure_told() {
    let archive = archive();
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let missing = Server::new(Answer::Status("404 Not Found"));
    let half = Server::new(Answer::HangUp(archive.clone()));
    let good = Server::new(Answer::Whole(archive.clone()));
    let dir = tempfile::tempdir().unwrap();
    let mut failed = Vec::new();
    let folder = download(&archive, &[&closed, &missing.url, &half.url, &good.url])
        .run(dir.path(), &mut |progress| {
            if let Progress::Failed { url, .. } = progress {
                failed.push(url.to_string());
            }
        })
        .unwrap();
    assert_eq!(failed, [closed.clone(), missing.url.clone(), half.url.clone()]);
    // What the third sent does not spoil what the fourth did.
    assert_unpacked(&folder);

    let missing = Server::new(Answer::Status("404 Not Found"));
    let why = refused(&download(&archive, &[&closed, &missing.url]));
    assert!(why.contains(&closed) && why.contains(&format!("{}: the server", missing.url)), "{why}");
}

#[test]
fn an_archive_without_a_file_or_with_garbage_leaves_nothing() {
    let members: Vec<(String, Vec<u8>)> =
        wanted().skip(1).map(|name| (format!("{FOLDER}/{name}"), content(name))).collect();
    let members: Vec<(&str, Vec<u8>)> =
        members.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
    let whole = archive_of(&members);
    let cases = [
        (whole.clone(), "has no data_batch_1.bin"),
        (whole[..whole.len() / 2].to_vec(), "damaged"),
        (b"no archive at all".to_vec(), "damaged"),
    ];
    for (archive, expected) in cases {
        let server = Server::new(Answer::Whole(archive.clone()));
        let dir = tempfile::tempdir().unwrap();
        match download(&archive, &[&server.url]).run(dir.path(), &mut |_| {}) {
            Err(Error::Format { why, .. }) => assert!(why.contains(expected), "{why}"),
            Err(Error::Io { action: "write", .. }) if expected == "damaged" => {}
            other => panic!("expected a format error, found {other:?}"),
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    // Nothing is asked of the network when there is nowhere to put the answer.
    let download = download(&archive(), &["http://127.0.0.1:1/"]);
    for parent in [file.clone(), file.join("below")] {
        match download.run(&parent, &mut |_| panic!("a connection was tried")) {
            Err(Error::Io { path, .. }) => assert_eq!(path, parent),
            other => panic!("expected an I/O error, found {other:?}"),
        }
    }
}

#[test]
fn the_official_address_comes_after_the_mirrors() {
    let mirrors = ["http://a/".to_string(), "http://b/".to_string()];
    assert_eq!(Download::cifar10(&mirrors).urls, ["http://a/", "http://b/", OFFICIAL_URL]);
}
