//! A real PostgreSQL server for the tests of one process, begun when first needed, with a new
//! database for whoever asks. The package's own cluster is not used.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection};

/// The URL of a new, empty database.
pub async fn database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    create(server(), &format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed))).await
}

async fn create(server: &Server, name: &str) -> String {
    let mut connection = connect(&server.url("postgres")).await;
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    connection.execute(create).await.unwrap();
    server.url(name)
}

/// A connection to a database, for looking and for standing in the way.
pub async fn connect(url: &str) -> PgConnection {
    url.parse::<PgConnectOptions>().unwrap().connect().await.unwrap()
}

/// Where the server can be connected to: a file of the kind socket.
pub fn socket() -> PathBuf {
    server().folder.join(".s.PGSQL.5432")
}

/// Waits until no gateway writes a database any more.
pub async fn is_left(url: &str) {
    let mut connection = connect(url).await;
    let others = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE 'tollgate %'";
    for _ in 0..TRIES {
        let left: i64 = sqlx::query_scalar(others).fetch_one(&mut connection).await.unwrap();
        if left == 0 {
            return;
        }
        tokio::time::sleep(TICK).await;
    }
    panic!("a gateway still writes {url}");
}

/// Ends the leases of all gateways of a database, as if the time had passed.
pub async fn leases_are_over(url: &str) {
    let mut connection = connect(url).await;
    connection.execute("UPDATE instances SET lease_until = now()").await.unwrap();
}

/// Lets nobody but us into a database any more, and ends who is in.
pub async fn closes(url: &str) {
    let name = url.strip_prefix("postgres:///").and_then(|rest| rest.split('?').next()).unwrap();
    let mut connection = connect(&server().url("postgres")).await;
    let close = AssertSqlSafe(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
    connection.execute(close).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
    sqlx::query(end).bind(name).execute(&mut connection).await.unwrap();
}

/// Lets everybody in again.
pub async fn opens(url: &str) {
    let name = url.strip_prefix("postgres:///").and_then(|rest| rest.split('?').next()).unwrap();
    let mut connection = connect(&server().url("postgres")).await;
    let open = AssertSqlSafe(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
    connection.execute(open).await.unwrap();
}

/// A server of one test alone, which may kill it.
pub struct Own(Server);

impl Own {
    pub fn start() -> Self {
        Self(start())
    }

    /// The URL of a new, empty database.
    pub async fn database(&self, name: &str) -> String {
        create(&self.0, name).await
    }

    /// Kills it as a power cut would, and starts another on its files.
    pub async fn killed_and_restarted(&mut self) {
        let id = fs::read_to_string(self.0.folder.join("data/postmaster.pid")).unwrap();
        kill(Pid::from_raw(id.lines().next().unwrap().parse().unwrap()), Signal::SIGKILL).unwrap();
        // What it had begun ends by itself, a moment later.
        for _ in (0..TRIES).take_while(|_| self.0.lives()) {
            tokio::time::sleep(TICK).await;
        }
        self.0.keeper.stdin.as_mut().unwrap().write_all(b"again\n").unwrap();
        self.0.answers();
    }
}

struct Server {
    folder: PathBuf,
    /// While its standard input is open, the server runs; each line begins it again.
    keeper: Child,
}

impl Server {
    /// Waits until it is there for everybody.
    fn answers(&self) {
        for _ in 0..TRIES {
            let mut ready = Command::new(programs().join("pg_isready"));
            if ready.arg("-qh").arg(&self.folder).status().unwrap().success() {
                return;
            }
            std::thread::sleep(TICK);
        }
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        panic!("PostgreSQL did not start:\n{log}");
    }

    /// Whether any of its processes is there: all of them work in the folder of its files.
    fn lives(&self) -> bool {
        let files = self.folder.join("data");
        let mut processes = fs::read_dir("/proc").unwrap().flatten();
        processes.any(|entry| fs::read_link(entry.path().join("cwd")).is_ok_and(|at| at == files))
    }

    fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&user=postgres", self.folder.display())
    }
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(start)
}

/// Begins a server on a socket in a folder of its own, durable as in earnest. It ends with this
/// process, however that ends, because then its keeper reads the end of its input.
fn start() -> Server {
    // Short: the name of a socket has at most 107 bytes.
    let folder = tempfile::Builder::new().prefix("tollgate-pg-").tempdir_in("/tmp").unwrap().keep();
    let root = fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt as _;
        own.uid() == 0
    });
    // PostgreSQL refuses to run as root; its package has made a user for it.
    let somebody: &[&str] = if root {
        let owned = Command::new("chown").arg("postgres:").arg(&folder).status().unwrap();
        assert!(owned.success(), "the user `postgres` is missing; tests/run installs it");
        &["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    } else {
        &[]
    };
    let keeper = Command::new("sh")
        .args(["-c", KEEPER, "keeper"])
        .args([&folder, &programs()])
        .args(somebody)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let server = Server { folder, keeper };
    server.answers();
    server
}

/// Where the newest server's programs are; Debian does not put them into the path.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = versions.map(|version| version.path().join("bin"));
    let newest = folders.filter(|folder| folder.join("initdb").exists()).max();
    newest.unwrap_or_else(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).find(|folder| folder.join("initdb").exists());
        found.expect("PostgreSQL is missing; tests/run installs it")
    })
}

/// Arguments: a folder, the programs', and how to become somebody who may run a server.
const KEEPER: &str = r#"
folder=$1 programs=$2
shift 2
trap '' INT
cd "$folder" || exit 1
"$@" "$programs/initdb" -D "$folder/data" -U postgres -A trust --no-sync >log 2>&1 || exit 1
begin() {
    "$@" "$programs/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= \
        -c port=5432 -c max_connections=300 -c shared_buffers=32MB >>log 2>&1 &
}
begin "$@"
while read -r again; do
    # Until somebody has heard of its end, the next one takes it for alive.
    wait $!
    begin "$@"
done
kill -INT $!
wait
rm -rf "$folder"
"#;

const TICK: Duration = Duration::from_millis(20);
/// Forty seconds of ticks.
const TRIES: u32 = 2_000;
