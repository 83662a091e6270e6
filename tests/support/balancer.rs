//! A balancer of TCP connections, as simple as can be: each goes to the next gateway that is ready.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::client::{Ask, client};

/// A running balancer; ends when dropped. Needs a `LocalSet` around it.
pub struct Balancer {
    pub address: SocketAddr,
    behind: Rc<RefCell<Vec<Behind>>>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Clone, Copy)]
struct Behind {
    public: SocketAddr,
    admin: SocketAddr,
    ready: bool,
}

impl Balancer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let behind = Rc::<RefCell<Vec<Behind>>>::default();
        let looking = tokio::task::spawn_local(keep_looking(Rc::clone(&behind)));
        let accepting = tokio::task::spawn_local(accept(listener, Rc::clone(&behind)));
        Self { address, behind, tasks: [looking, accepting] }
    }

    /// One more gateway, which gets connections as soon as it is ready.
    pub fn add(&self, public: SocketAddr, admin: SocketAddr) {
        self.behind.borrow_mut().push(Behind { public, admin, ready: false });
    }

    /// How many are ready.
    pub fn ready(&self) -> usize {
        self.behind.borrow().iter().filter(|one| one.ready).count()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn accept(listener: TcpListener, behind: Rc<RefCell<Vec<Behind>>>) {
    for turn in 0.. {
        let (mut client, _) = listener.accept().await.unwrap();
        let ready: Vec<_> =
            behind.borrow().iter().filter(|one| one.ready).map(|one| one.public).collect();
        let to = ready[turn % ready.len()];
        tokio::task::spawn_local(async move {
            let mut gateway = TcpStream::connect(to).await.expect("a gateway that is ready");
            // Either may end it.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut gateway).await;
        });
    }
}

/// Asks all of them again and again, as a balancer does.
async fn keep_looking(behind: Rc<RefCell<Vec<Behind>>>) {
    let client = client();
    loop {
        let now = behind.borrow().clone();
        for Behind { admin, .. } in now {
            let ask = Ask::new(&client, "GET", &format!("http://{admin}/readyz")).try_send();
            let found = ask.await.is_ok_and(|answer| answer.status == 200);
            let mut all = behind.borrow_mut();
            all.iter_mut().filter(|one| one.admin == admin).for_each(|one| one.ready = found);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(50);
